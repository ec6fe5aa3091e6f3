//! What an account pays besides the watched services: network, keys, metrics.

use super::{Build, Charge, Course, IRELAND};
use crate::sandbox::estate::bill::EC2_OTHER;
use crate::sandbox::estate::model::{ACCOUNTS, Meta};
use crate::sandbox::estate::prices;
use crate::sandbox::estate::signal::Rhythm;

impl Build {
    pub(super) fn shared(&mut self) {
        let scale = f64::from(self.options.scale.max(1));
        for (account, size) in ACCOUNTS.into_iter().zip([1.0, 0.35, 0.2]) {
            let meta = Meta {
                account: account.id,
                region: IRELAND,
                name: String::new(),
                arn: String::new(),
                created: self.ago(2_000.0),
                // Nobody can tag a network.
                tags: Vec::new(),
            };
            let size = size * scale;
            let office =
                |low: f64, more: f64| Course { low, more, rhythm: Rhythm::Office, growth: 12 };
            let lines = [
                (
                    EC2_OTHER,
                    "NatGateway-Hours",
                    "NatGateway",
                    "Hrs",
                    "nat-hour",
                    Course::flat(72.0),
                ),
                (
                    EC2_OTHER,
                    "NatGateway-Bytes",
                    "NatGateway",
                    "GB",
                    "nat-gb",
                    office(60.0 * size, 500.0 * size),
                ),
                (
                    EC2_OTHER,
                    "DataTransfer-Regional-Bytes",
                    "InterZone-Out",
                    "GB",
                    "transfer-az",
                    office(300.0 * size, 2_400.0 * size),
                ),
                (
                    "Amazon Virtual Private Cloud",
                    "VpcEndpoint-Hours",
                    "VpcEndpoint",
                    "Hrs",
                    "endpoint-hour",
                    Course::flat(24.0 * 27.0),
                ),
                (
                    "AWS Key Management Service",
                    "KMS-Requests",
                    "Decrypt",
                    "Requests",
                    "kms-request",
                    office(2.0e5 * size, 9.0e5 * size),
                ),
                (
                    "AWS Glue",
                    "ETL-DPU-Hour",
                    "Jobrun",
                    "DPU-Hour",
                    "glue-dpu",
                    office(4.0 * size, 18.0 * size),
                ),
            ];
            for (service, usage_type, operation, unit, price, course) in lines {
                let price = prices::unit(price);
                self.charge(&meta, Charge { service, usage_type, operation, unit, price }, course);
            }
            // Route 53 is global: its usage types have no region.
            let dns = Charge {
                service: "Amazon Route 53",
                usage_type: "DNS-Queries",
                operation: "A",
                unit: "Queries",
                price: prices::unit("dns-query"),
            };
            let mut accrual = self.accrual(
                &Meta { region: "us-east-1", ..meta },
                dns,
                office(1.0e5 * size, 4.0e5 * size),
            );
            accrual.key.region = "global";
            self.accruals.push(accrual);
        }
    }
}
