//! `centime sandbox`

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use tokio::net::TcpListener;

use super::{End, Failure, address, block_on, note, print, stop};
use crate::sandbox::{Clock, Faults, Options, Sandbox};

/// Run a simulated AWS data platform that speaks AWS's own wire protocols
#[derive(Debug, Args)]
#[command(
    after_help = "Example: centime sandbox --listen 127.0.0.1:4599 --faults throttle=10%\n\n\
                        Faults, joined by commas: throttle=10%, server=5%, cut=1%, empty-page=5%, \
                        expired=1%, slow=2%:3s, fail=30% (of each a part), metric-error=2%, \
                        deny=kafka:ListNodes, deny=s3:*@222222222222, expire=5m, slack=20%, \
                        slack-rate, seed=7.\n\n\
                        Point any AWS SDK at it with AWS_ENDPOINT_URL. GET / lists its pages: what \
                        was planted, the bill, the requests so far, Slack's stand-in."
)]
pub struct Arguments {
    /// Address and port; port 0 takes a free one and prints it
    #[arg(long, default_value = "127.0.0.1:4599", value_name = "ADDR", value_parser = address)]
    listen: SocketAddr,
    /// The same number makes the same platform
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Size of the platform: resources of every kind grow with it
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    scale: u32,
    /// Days of history
    #[arg(long, default_value_t = 425, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    days: u32,
    /// What goes wrong, such as throttle=10%,slow=2%:3s; nothing unless set
    #[arg(long, value_name = "SPEC", default_value = "", hide_default_value = true)]
    faults: Faults,
    /// Deliver every month of the bill into this folder too, as AWS Data Exports does (CUR 2.0)
    #[arg(long, value_name = "FOLDER")]
    exports: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<End, Failure> {
    block_on(async {
        let listener = TcpListener::bind(arguments.listen).await.map_err(|error| {
            let address = arguments.listen;
            format!("cannot listen on {address}: {error}; choose another with --listen")
        })?;
        let options = Options {
            seed: arguments.seed,
            scale: arguments.scale,
            days: arguments.days,
            faults: arguments.faults.clone(),
            ..Options::default()
        };
        let sandbox = Sandbox::start(listener, options, Clock::system())?;
        if let Some(folder) = &arguments.exports {
            sandbox.deliver_exports(folder).map_err(|error| {
                format!("cannot deliver exports into {}: {error}", folder.display())
            })?;
        }
        print(format!("the sandbox listens on {}", sandbox.url()))?;
        note(format!(
            "AWS_ENDPOINT_URL={} AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY=any",
            sandbox.url(),
            crate::sandbox::ACCESS_KEY_ID
        ));
        stop().await?;
        sandbox.stop().await;
        Ok(End::Done)
    })
}
