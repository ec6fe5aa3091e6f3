//! Which AWS services are simulated, and how each of them speaks.

/// A service, told by the credential scope of the request's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    Kafka,
    Emr,
    EmrServerless,
    Lambda,
    Logs,
    Rds,
    S3,
    CloudWatch,
    CostExplorer,
    Budgets,
    AutoScaling,
    Pricing,
    SavingsPlans,
    ComputeOptimizer,
    CostOptimizationHub,
    Sts,
}

/// A wire protocol. Sources: the protocol specifications of Smithy, and botocore's service models
/// for which service speaks which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `X-Amz-Target` and a JSON body; the version goes into the content type.
    AwsJson(&'static str),
    /// Method, path and query; JSON bodies.
    RestJson,
    /// A form with `Action`; XML answers.
    Query,
    /// S3: method, path and query; XML answers.
    RestXml,
    /// Smithy RPC v2 with CBOR bodies.
    Cbor,
}

impl Service {
    /// By the service name that SigV4 signs with.
    pub fn of_scope(name: &str) -> Option<Self> {
        Some(match name {
            "kafka" => Self::Kafka,
            "elasticmapreduce" => Self::Emr,
            "emr-serverless" => Self::EmrServerless,
            "lambda" => Self::Lambda,
            "logs" => Self::Logs,
            "rds" => Self::Rds,
            "s3" => Self::S3,
            "monitoring" => Self::CloudWatch,
            "ce" => Self::CostExplorer,
            "budgets" => Self::Budgets,
            "application-autoscaling" => Self::AutoScaling,
            "pricing" => Self::Pricing,
            "savingsplans" => Self::SavingsPlans,
            "compute-optimizer" => Self::ComputeOptimizer,
            "cost-optimization-hub" => Self::CostOptimizationHub,
            "sts" => Self::Sts,
            _ => return None,
        })
    }

    /// Prefix of its IAM actions, which is also its name in `/requests`.
    pub fn iam_prefix(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Emr => "elasticmapreduce",
            Self::EmrServerless => "emr-serverless",
            Self::Lambda => "lambda",
            Self::Logs => "logs",
            Self::Rds => "rds",
            Self::S3 => "s3",
            Self::CloudWatch => "cloudwatch",
            Self::CostExplorer => "ce",
            Self::Budgets => "budgets",
            Self::AutoScaling => "application-autoscaling",
            Self::Pricing => "pricing",
            Self::SavingsPlans => "savingsplans",
            Self::ComputeOptimizer => "compute-optimizer",
            Self::CostOptimizationHub => "cost-optimization-hub",
            Self::Sts => "sts",
        }
    }

    /// The IAM action that an operation needs. S3's are named otherwise than its operations
    /// (Service Authorization Reference, Amazon S3).
    pub fn iam_action(self, operation: &str) -> String {
        let name = match (self, operation) {
            (Self::S3, "ListBuckets") => "ListAllMyBuckets",
            (Self::S3, "GetBucketLifecycleConfiguration") => "GetLifecycleConfiguration",
            (Self::S3, "GetBucketReplication") => "GetReplicationConfiguration",
            (Self::S3, "ListBucketIntelligentTieringConfigurations") => {
                "GetIntelligentTieringConfiguration"
            }
            (Self::S3, "ListBucketMetricsConfigurations") => "GetMetricsConfiguration",
            (Self::S3, "ListMultipartUploads") => "ListBucketMultipartUploads",
            // Whoever may view budgets may list them.
            (Self::Budgets, "DescribeBudgets") => "ViewBudget",
            (_, name) => name,
        };
        format!("{}:{name}", self.iam_prefix())
    }

    /// The protocol it answers in when the request does not tell.
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Kafka | Self::EmrServerless | Self::Lambda | Self::SavingsPlans => {
                Protocol::RestJson
            }
            Self::Emr
            | Self::Logs
            | Self::CostExplorer
            | Self::Budgets
            | Self::AutoScaling
            | Self::Pricing => Protocol::AwsJson("1.1"),
            Self::CloudWatch | Self::ComputeOptimizer | Self::CostOptimizationHub => {
                Protocol::AwsJson("1.0")
            }
            Self::Rds | Self::Sts => Protocol::Query,
            Self::S3 => Protocol::RestXml,
        }
    }

    /// Prefix of `X-Amz-Target`.
    pub fn target_prefix(self) -> Option<&'static str> {
        match self {
            Self::Emr => Some("ElasticMapReduce"),
            Self::Logs => Some("Logs_20140328"),
            Self::CloudWatch => Some("GraniteServiceVersion20100801"),
            Self::CostExplorer => Some("AWSInsightsIndexService"),
            Self::Budgets => Some("AWSBudgetServiceGateway"),
            Self::AutoScaling => Some("AnyScaleFrontendService"),
            Self::Pricing => Some("AWSPriceListService"),
            Self::ComputeOptimizer => Some("ComputeOptimizerService"),
            Self::CostOptimizationHub => Some("CostOptimizationHubService"),
            _ => None,
        }
    }

    /// XML namespace of its answers.
    pub fn xml_namespace(self) -> &'static str {
        match self {
            Self::Rds => "http://rds.amazonaws.com/doc/2014-10-31/",
            Self::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
            Self::S3 => "http://s3.amazonaws.com/doc/2006-03-01/",
            _ => "http://monitoring.amazonaws.com/doc/2010-08-01/",
        }
    }

    /// The error code of a wrong argument.
    pub fn validation_code(self) -> &'static str {
        match self {
            Self::Kafka => "BadRequestException",
            Self::Emr
            | Self::EmrServerless
            | Self::CostExplorer
            | Self::CloudWatch
            | Self::AutoScaling
            | Self::SavingsPlans
            | Self::CostOptimizationHub => "ValidationException",
            Self::Lambda | Self::ComputeOptimizer => "InvalidParameterValueException",
            Self::Logs | Self::Budgets | Self::Pricing => "InvalidParameterException",
            Self::Rds => "InvalidParameterValue",
            Self::S3 => "InvalidArgument",
            Self::Sts => "ValidationError",
        }
    }
}
