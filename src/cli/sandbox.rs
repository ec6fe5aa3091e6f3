//! `centime sandbox`

use std::net::SocketAddr;

use clap::Args;
use tokio::net::TcpListener;

use super::{End, Failure, block_on, note, print, stop};
use crate::sandbox::{Clock, Faults, Options, Sandbox};

/// Run a simulated AWS data platform that speaks AWS's own wire protocols
#[derive(Debug, Args)]
#[command(
    after_help = "Example: centime sandbox --listen 127.0.0.1:4599 --faults throttle=10%\n\n\
                        Point any AWS SDK at it with AWS_ENDPOINT_URL. GET / lists its pages: what \
                        was planted, the bill, the requests so far, Slack's stand-in."
)]
pub struct Arguments {
    /// Address and port; port 0 takes a free one and prints it
    #[arg(long, default_value = "127.0.0.1:4599", value_name = "ADDR")]
    listen: SocketAddr,
    /// Everything follows from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Size of the platform
    #[arg(long, default_value_t = 1)]
    scale: u32,
    /// Days of history
    #[arg(long, default_value_t = 425)]
    days: u32,
    /// What goes wrong: throttle=10%,server=5%,slow=2%:3s,cut=1%,deny=kafka:ListNodes,…
    #[arg(long, value_name = "SPEC", default_value = "")]
    faults: Faults,
}

pub fn run(arguments: &Arguments) -> Result<End, Failure> {
    block_on(async {
        let listener = TcpListener::bind(arguments.listen)
            .await
            .map_err(|error| format!("cannot listen on {}: {error}", arguments.listen))?;
        let options = Options {
            seed: arguments.seed,
            scale: arguments.scale,
            days: arguments.days,
            faults: arguments.faults.clone(),
            ..Options::default()
        };
        let sandbox = Sandbox::start(listener, options, Clock::system())?;
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
