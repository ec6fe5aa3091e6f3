//! Accounts and regions, and the clients that read them.

use std::sync::{Arc, OnceLock};

use aws_config::identity::IdentityCache;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use jiff::Timestamp;
use tokio::sync::OnceCell;

use super::config::{AccountConfig, Config};
use super::credentials::{Clock, Renewable, Source};
use super::error::{Error, classify};
use super::ledger::Ledger;
use super::limiter::Limiters;
use super::meter::{self, Meter, Metered, RetryMore};
use super::prices::Priority;
use super::signing::EmptyBodyHash;

/// The region of Cost Explorer's one endpoint, and of the price list's most complete one.
const BILLING_REGION: &str = "us-east-1";

/// A watched account.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account {
    /// 12 digits.
    pub id: String,
    pub name: String,
    /// Environment of its resources that have no environment tag.
    pub environment: Option<String>,
}

/// The way to all watched accounts and regions.
#[derive(Debug, Clone)]
pub struct Access {
    scopes: Vec<Scope>,
    billing: Scope,
    billing_id: Arc<OnceCell<String>>,
    opener: Arc<Opener>,
}

/// One account in one region. Cheap to clone; clones share clients, credentials and limiters.
#[derive(Debug, Clone)]
pub struct Scope {
    pub account: Arc<Account>,
    pub region: String,
    clients: Arc<Clients>,
}

#[derive(Debug)]
struct Clients {
    sdk: SdkConfig,
    account: Arc<str>,
    region: String,
    credentials: Arc<Renewable>,
    shared: Arc<Shared>,
    kafka: OnceLock<aws_sdk_kafka::Client>,
    emr: OnceLock<aws_sdk_emr::Client>,
    emr_serverless: OnceLock<aws_sdk_emrserverless::Client>,
    lambda: OnceLock<aws_sdk_lambda::Client>,
    logs: OnceLock<aws_sdk_cloudwatchlogs::Client>,
    rds: OnceLock<aws_sdk_rds::Client>,
    s3: OnceLock<aws_sdk_s3::Client>,
    sts: OnceLock<aws_sdk_sts::Client>,
    cloudwatch: [OnceLock<aws_sdk_cloudwatch::Client>; Priority::ALL.len()],
    cost_explorer: [OnceLock<aws_sdk_costexplorer::Client>; Priority::ALL.len()],
    budgets: OnceLock<aws_sdk_budgets::Client>,
    autoscaling: OnceLock<aws_sdk_applicationautoscaling::Client>,
    pricing: OnceLock<aws_sdk_pricing::Client>,
    savings_plans: OnceLock<aws_sdk_savingsplans::Client>,
    compute_optimizer: OnceLock<aws_sdk_computeoptimizer::Client>,
    cost_optimization_hub: OnceLock<aws_sdk_costoptimizationhub::Client>,
}

/// What all clients of a process share.
#[derive(Debug)]
struct Shared {
    limiters: Limiters,
    ledger: Arc<Ledger>,
    clock: Clock,
    s3_path_style: bool,
}

/// Client of `$sdk` with the meter of `$api` at `$priority`, made at its first use.
macro_rules! client {
    ($clients:expr, $cell:expr, $sdk:ident, $api:literal, $priority:expr $(, $extra:expr)?) => {
        $cell
            .get_or_init(|| {
                let clients = &$clients;
                let builder = $sdk::config::Builder::from(&clients.sdk)
                    .interceptor(clients.meter($api, $priority))
                    .interceptor(EmptyBodyHash)
                    .retry_classifier(RetryMore)
                    // Without it, an account that fails would use up the retries of all the others.
                    .retry_partition($sdk::config::retry::RetryPartition::new(clients.partition($api)));
                $(let builder = $extra(builder);)?
                $sdk::Client::from_conf(builder.build())
            })
            .clone()
    };
}

impl Access {
    /// Opens the way with the standard credential chain: environment, profile, SSO, web identity,
    /// container, instance. `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_<SERVICE>` are followed.
    ///
    /// Roles are assumed when an account is first called, so that an account that fails is an error
    /// of its own calls only.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] without any region; without `accounts`, whatever keeps STS from telling the
    /// account of the chain's credentials.
    pub async fn connect(config: &Config, ledger: Arc<Ledger>) -> Result<Self, Error> {
        let sdk = loader(config).load().await;
        let s3_endpoint = std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
        Self::with(config, ledger, &sdk, s3_endpoint || sdk.endpoint_url().is_some()).await
    }

    /// Opens the way to an endpoint that stands for all of AWS, such as the sandbox, with fixed
    /// credentials.
    ///
    /// # Errors
    ///
    /// As [`Access::connect`].
    pub async fn connect_to(
        endpoint_url: &str,
        access_key_id: &str,
        secret_access_key: &str,
        config: &Config,
        ledger: Arc<Ledger>,
    ) -> Result<Self, Error> {
        let keys = Credentials::new(access_key_id, secret_access_key, None, None, "fixed");
        let mut loader = loader(config).endpoint_url(endpoint_url).credentials_provider(keys);
        if config.regions.is_empty() {
            loader = loader.region(Region::from_static(BILLING_REGION));
        }
        Self::with(config, ledger, &loader.load().await, true).await
    }

    async fn with(
        config: &Config,
        ledger: Arc<Ledger>,
        sdk: &SdkConfig,
        s3_path_style: bool,
    ) -> Result<Self, Error> {
        let Some(time) = sdk.time_source() else {
            return Err(Error::Config("the SDK has no source of time".to_owned()));
        };
        // Before 1970 no signature is valid, so that calls fail with the right words.
        let now = move || Timestamp::try_from(time.now()).unwrap_or(Timestamp::UNIX_EPOCH);
        let clock = Clock(Arc::new(now));
        let limiters = Limiters::new(&config.limits, config.retry.adaptive);
        let shared = Arc::new(Shared { limiters, ledger, clock, s3_path_style });
        let Some(chain) = sdk.credentials_provider() else {
            return Err(Error::Config("there is no credential chain".to_owned()));
        };
        let chain = Arc::new(Renewable::new(Source::Chain(chain), shared.clock.clone()));
        let opener = Opener { sdk: sdk.clone(), shared, chain };

        let own_region = sdk.region().map(|region| vec![region.as_ref().to_owned()]);
        let regions = if config.regions.is_empty() { own_region } else { None };
        let regions = regions.unwrap_or_else(|| config.regions.clone());
        let mut accounts = config.accounts.clone();
        if accounts.is_empty() {
            let chain = AccountConfig { name: CHAIN.to_owned(), ..AccountConfig::default() };
            let id = own_id(&opener.scope(&chain, BILLING_REGION)).await?;
            accounts.push(AccountConfig { name: id.clone(), id, ..chain });
        }
        let mut scopes = Vec::new();
        for account in &accounts {
            let regions = if account.regions.is_empty() { &regions } else { &account.regions };
            if regions.is_empty() {
                return Err(Error::Config(format!(
                    "no region is known for account {}; set `aws.regions` or AWS_REGION",
                    account.id
                )));
            }
            scopes.extend(opener.scopes(account, regions));
        }
        let billing_id = OnceCell::new_with(config.billing_account.as_ref().map(|a| a.id.clone()));
        let billing = config.billing_account.clone().unwrap_or_else(|| AccountConfig {
            // Asked of STS when it is needed.
            id: accounts
                .first()
                .filter(|_| config.accounts.is_empty())
                .map_or_else(|| CHAIN.to_owned(), |account| account.id.clone()),
            name: CHAIN.to_owned(),
            ..AccountConfig::default()
        });
        let billing = opener.scope(&billing, BILLING_REGION);
        let opener = Arc::new(opener);
        Ok(Self { scopes, billing, billing_id: Arc::new(billing_id), opener })
    }

    /// Every watched account in every one of its regions, in the order of the configuration.
    pub fn scopes(&self) -> Vec<Scope> {
        self.scopes.clone()
    }

    /// The scope of one account and region.
    pub fn scope(&self, account: &str, region: &str) -> Option<&Scope> {
        self.scopes.iter().find(|scope| scope.account.id == account && scope.region == region)
    }

    /// A region seen by another role than those that watch.
    pub fn by_role(&self, role: &AccountConfig, region: &str) -> Scope {
        self.opener.scope(role, region)
    }

    /// Cost Explorer of the payer account. Every page costs a cent.
    pub fn cost_explorer(&self, priority: Priority) -> aws_sdk_costexplorer::Client {
        self.billing.cost_explorer(priority)
    }

    /// AWS Budgets of the payer account, which is free to read.
    pub fn budgets(&self) -> aws_sdk_budgets::Client {
        self.billing.budgets()
    }

    /// AWS's price list, which is the same for all accounts, free to read and pinned to us-east-1.
    pub fn pricing(&self) -> aws_sdk_pricing::Client {
        self.billing.pricing()
    }

    /// Savings Plans of the payer and of every watched account, each once, by account. The service has
    /// one endpoint for all regions.
    pub fn savings_plans(&self) -> Vec<(String, aws_sdk_savingsplans::Client)> {
        let mut clients: Vec<(String, aws_sdk_savingsplans::Client)> = Vec::new();
        for scope in std::iter::once(&self.billing).chain(&self.scopes) {
            if clients.iter().all(|(account, _)| *account != scope.account.id) {
                clients.push((scope.account.id.clone(), scope.savings_plans()));
            }
        }
        clients
    }

    /// Cost Optimization Hub of the payer account, which is free to read, in its one region.
    pub fn cost_optimization_hub(&self) -> aws_sdk_costoptimizationhub::Client {
        let clients = &self.billing.clients;
        let cell = &clients.cost_optimization_hub;
        client!(
            clients,
            cell,
            aws_sdk_costoptimizationhub,
            "cost-optimization-hub",
            Priority::Optional
        )
    }

    /// The account whose bill [`Access::cost_explorer`] shows.
    ///
    /// # Errors
    ///
    /// When it is not configured and STS does not tell it.
    pub async fn billing_account(&self) -> Result<&str, Error> {
        let id = self.billing_id.get_or_try_init(|| own_id(&self.billing)).await?;
        Ok(id)
    }
}

/// Stands for the account of the standard chain's credentials until STS tells its id.
const CHAIN: &str = "unknown";

/// The account that the scope's credentials belong to.
async fn own_id(scope: &Scope) -> Result<String, Error> {
    const OPERATION: &str = "sts:GetCallerIdentity";
    let answer = scope.clients.sts().get_caller_identity().send().await;
    let answer = answer.map_err(|error| classify(OPERATION, error))?;
    answer.account.ok_or_else(|| Error::Parse {
        operation: OPERATION,
        reason: "it names no account".to_owned(),
    })
}

fn loader(config: &Config) -> ConfigLoader {
    // The limiters adapt by themselves.
    let retry = aws_config::retry::RetryConfig::standard()
        .with_max_attempts(config.retry.attempts.max(1))
        .with_initial_backoff(config.retry.first_wait)
        .with_max_backoff(config.retry.longest_wait);
    let timeouts = aws_config::timeout::TimeoutConfig::builder()
        .connect_timeout(config.timeouts.connect)
        .read_timeout(config.timeouts.read)
        .operation_timeout(config.timeouts.operation)
        .build();
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(meter::http_client())
        .identity_cache(IdentityCache::no_cache())
        .retry_config(retry)
        .timeout_config(timeouts);
    // Without a region of its own, the chain would ask the instance's metadata service for one.
    match config.regions.first() {
        Some(region) => loader.region(Region::new(region.clone())),
        None => loader,
    }
}

/// Makes the scopes of one [`Access`].
#[derive(Debug)]
struct Opener {
    sdk: SdkConfig,
    shared: Arc<Shared>,
    /// The standard chain's credentials.
    chain: Arc<Renewable>,
}

impl Opener {
    fn scope(&self, account: &AccountConfig, region: &str) -> Scope {
        self.open(account, self.credentials(account, region), region)
    }

    /// The account in each of these regions, with the same credentials.
    fn scopes(&self, account: &AccountConfig, regions: &[String]) -> Vec<Scope> {
        let Some(first) = regions.first() else { return Vec::new() };
        let credentials = self.credentials(account, first);
        regions.iter().map(|region| self.open(account, Arc::clone(&credentials), region)).collect()
    }

    fn open(&self, account: &AccountConfig, credentials: Arc<Renewable>, region: &str) -> Scope {
        let clients = self.clients(&account.id, credentials, region);
        let account = Account {
            id: account.id.clone(),
            name: account.name.clone(),
            environment: account.environment.clone(),
        };
        Scope { account: Arc::new(account), region: region.to_owned(), clients: Arc::new(clients) }
    }

    /// STS is asked in `region`, as AWS advises, not at its global endpoint.
    fn credentials(&self, account: &AccountConfig, region: &str) -> Arc<Renewable> {
        let Some(role_arn) = account.role_arn.clone() else { return Arc::clone(&self.chain) };
        let sts = self.clients(&account.id, Arc::clone(&self.chain), region).sts();
        let external_id = account.external_id.clone();
        let source = Source::Role { sts, role_arn, external_id };
        Arc::new(Renewable::new(source, self.shared.clock.clone()))
    }

    fn clients(&self, account: &str, credentials: Arc<Renewable>, region: &str) -> Clients {
        let provider: Arc<dyn ProvideCredentials> = credentials.clone();
        let provider = SharedCredentialsProvider::new(provider);
        let sdk = self.sdk.to_builder().region(Region::new(region.to_owned()));
        Clients {
            sdk: sdk.credentials_provider(provider).build(),
            account: account.into(),
            region: region.to_owned(),
            credentials,
            shared: Arc::clone(&self.shared),
            kafka: OnceLock::new(),
            emr: OnceLock::new(),
            emr_serverless: OnceLock::new(),
            lambda: OnceLock::new(),
            logs: OnceLock::new(),
            rds: OnceLock::new(),
            s3: OnceLock::new(),
            sts: OnceLock::new(),
            cloudwatch: std::array::from_fn(|_| OnceLock::new()),
            cost_explorer: std::array::from_fn(|_| OnceLock::new()),
            budgets: OnceLock::new(),
            autoscaling: OnceLock::new(),
            pricing: OnceLock::new(),
            savings_plans: OnceLock::new(),
            compute_optimizer: OnceLock::new(),
            cost_optimization_hub: OnceLock::new(),
        }
    }
}

impl Clients {
    fn meter(&self, api: &'static str, priority: Priority) -> Meter {
        Meter(Arc::new(Metered {
            account: Arc::clone(&self.account),
            api,
            priority,
            limiter: self.shared.limiters.of(&self.account, &self.region, api),
            ledger: Arc::clone(&self.shared.ledger),
            credentials: Arc::clone(&self.credentials),
            clock: self.shared.clock.clone(),
        }))
    }

    /// Name of what shares the SDK's retry quota.
    fn partition(&self, api: &str) -> String {
        format!("{}/{}/{api}", self.account, self.region)
    }

    fn sts(&self) -> aws_sdk_sts::Client {
        client!(self, self.sts, aws_sdk_sts, "sts", Priority::Essential)
    }
}

/// All listing is free, except S3's, which costs next to nothing.
impl Scope {
    pub fn kafka(&self) -> aws_sdk_kafka::Client {
        client!(self.clients, self.clients.kafka, aws_sdk_kafka, "kafka", Priority::Normal)
    }

    pub fn emr(&self) -> aws_sdk_emr::Client {
        client!(self.clients, self.clients.emr, aws_sdk_emr, "elasticmapreduce", Priority::Normal)
    }

    pub fn emr_serverless(&self) -> aws_sdk_emrserverless::Client {
        let clients = &self.clients;
        let cell = &clients.emr_serverless;
        client!(clients, cell, aws_sdk_emrserverless, "emr-serverless", Priority::Normal)
    }

    pub fn lambda(&self) -> aws_sdk_lambda::Client {
        client!(self.clients, self.clients.lambda, aws_sdk_lambda, "lambda", Priority::Normal)
    }

    /// Application Auto Scaling, where the storage of MSK brokers and the provisioned concurrency of
    /// functions have their targets.
    pub fn autoscaling(&self) -> aws_sdk_applicationautoscaling::Client {
        let clients = &self.clients;
        let cell = &clients.autoscaling;
        client!(
            clients,
            cell,
            aws_sdk_applicationautoscaling,
            "application-autoscaling",
            Priority::Normal
        )
    }

    pub fn logs(&self) -> aws_sdk_cloudwatchlogs::Client {
        client!(self.clients, self.clients.logs, aws_sdk_cloudwatchlogs, "logs", Priority::Normal)
    }

    pub fn rds(&self) -> aws_sdk_rds::Client {
        client!(self.clients, self.clients.rds, aws_sdk_rds, "rds", Priority::Normal)
    }

    /// At an endpoint that stands for AWS, buckets are paths: their names do not resolve there.
    pub fn s3(&self) -> aws_sdk_s3::Client {
        let clients = &self.clients;
        let path_style = |builder: aws_sdk_s3::config::Builder| {
            builder.force_path_style(clients.shared.s3_path_style)
        };
        client!(clients, clients.s3, aws_sdk_s3, "s3", Priority::Normal, path_style)
    }

    /// Every metric asked for is billed.
    pub fn cloudwatch(&self, priority: Priority) -> aws_sdk_cloudwatch::Client {
        let clients = &self.clients;
        let cell = &clients.cloudwatch[priority as usize];
        client!(clients, cell, aws_sdk_cloudwatch, "cloudwatch", priority)
    }

    fn budgets(&self) -> aws_sdk_budgets::Client {
        client!(self.clients, self.clients.budgets, aws_sdk_budgets, "budgets", Priority::Optional)
    }

    /// Free to read, where the account is enrolled.
    pub fn compute_optimizer(&self) -> aws_sdk_computeoptimizer::Client {
        let clients = &self.clients;
        let cell = &clients.compute_optimizer;
        client!(clients, cell, aws_sdk_computeoptimizer, "compute-optimizer", Priority::Optional)
    }

    fn savings_plans(&self) -> aws_sdk_savingsplans::Client {
        let clients = &self.clients;
        let cell = &clients.savings_plans;
        client!(clients, cell, aws_sdk_savingsplans, "savingsplans", Priority::Optional)
    }

    fn pricing(&self) -> aws_sdk_pricing::Client {
        client!(self.clients, self.clients.pricing, aws_sdk_pricing, "pricing", Priority::Optional)
    }

    fn cost_explorer(&self, priority: Priority) -> aws_sdk_costexplorer::Client {
        let clients = &self.clients;
        let cell = &clients.cost_explorer[priority as usize];
        client!(clients, cell, aws_sdk_costexplorer, "ce", priority)
    }
}
