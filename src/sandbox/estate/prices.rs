//! What the simulated AWS charges: list prices of us-east-1, and dearer ones elsewhere.
//!
//! They only have to be plausible and fixed: the bill is true by definition. Values are those of
//! AWS's public price list as far as it could be read.

use rust_decimal::Decimal;

/// Prefix of usage types: `EU-Kafka.m7g.large`. Northern Virginia has none.
pub(crate) fn prefix(region: &str) -> &'static str {
    match region {
        "eu-west-1" => "EU-",
        "eu-west-3" => "EUW3-",
        _ => "",
    }
}

/// What a region costs, compared with us-east-1.
pub(crate) fn in_region(price: Decimal, region: &str) -> Decimal {
    let percent = match region {
        "eu-west-1" => 111,
        "eu-west-3" => 116,
        _ => 100,
    };
    (price * Decimal::new(percent, 2)).round_dp(10)
}

/// Of a price of `large`, what that size costs; sizes are linear in all families used here.
fn times_large(size: &str) -> Option<Decimal> {
    Some(match size {
        "micro" => Decimal::new(125, 3),
        "small" => Decimal::new(25, 2),
        "medium" => Decimal::new(5, 1),
        "large" => Decimal::ONE,
        "xlarge" => Decimal::TWO,
        "2xlarge" => Decimal::from(4),
        "4xlarge" => Decimal::from(8),
        "8xlarge" => Decimal::from(16),
        "12xlarge" => Decimal::from(24),
        "16xlarge" => Decimal::from(32),
        _ => return None,
    })
}

fn hourly(instance: &str, large: impl Fn(&str) -> i64) -> Decimal {
    instance
        .rsplit_once('.')
        .and_then(|(family, size)| Some(Decimal::new(large(family), 4) * times_large(size)?))
        .unwrap_or_default()
}

/// A broker hour.
pub(crate) fn broker(instance: &str) -> Decimal {
    if instance == "kafka.t3.small" {
        return Decimal::new(456, 4);
    }
    hourly(instance, |family| match family {
        "kafka.m5" => 2100,
        "kafka.m7g" => 2040,
        "express.m7g" => 4080,
        _ => 2100,
    })
}

/// An EC2 hour on demand.
pub(crate) fn ec2(instance: &str) -> Decimal {
    hourly(instance, |family| match family {
        "m6g" => 770,
        "m7g" => 816,
        "r6g" => 1008,
        "r7g" => 1071,
        "c7g" => 725,
        "m4" => 1000,
        "r4" => 1330,
        "r5" => 1260,
        _ => 960,
    })
}

/// EMR's own charge for a node hour.
pub(crate) fn emr(instance: &str) -> Decimal {
    ec2(instance) * Decimal::new(25, 2)
}

/// A database hour in one zone.
pub(crate) fn database(class: &str, engine: &str) -> Decimal {
    let class = class.trim_start_matches("db.");
    let price = hourly(class, |family| match family {
        "t3" => 1360,
        "t4g" => 1290,
        "m4" => 1750,
        "m5" => 1710,
        "m6g" => 1520,
        "m7g" => 1680,
        "r5" => 2400,
        "r6g" => 2150,
        "r7g" => 2390,
        _ => 1710,
    });
    if engine.starts_with("aurora") { price * Decimal::new(12, 1) } else { price }
}

/// Price of a unit of anything else, by a name of our own.
pub(crate) fn unit(name: &str) -> Decimal {
    let (mantissa, scale) = match name {
        "msk-storage" => (10, 2),
        "msk-serverless-hour" => (75, 2),
        "msk-serverless-partition-hour" => (15, 4),
        "msk-serverless-in" => (10, 2),
        "msk-express-in" => (1, 2),
        "emrs-vcpu" => (52_624, 6),
        "emrs-memory" => (57_785, 7),
        "emrs-arm-vcpu" => (42_094, 6),
        "emrs-arm-memory" => (46_228, 7),
        "ebs-gp3" => (8, 2),
        "ebs-gp2" => (10, 2),
        "lambda-x86" => (166_667, 10),
        "lambda-arm" => (133_334, 10),
        "lambda-request" => (20, 8),
        "lambda-pc-x86" => (41_667, 10),
        "lambda-pc-arm" => (33_334, 10),
        "rds-gp3" => (115, 3),
        "rds-gp2" => (115, 3),
        "rds-io1" => (125, 3),
        "rds-iops" => (10, 2),
        "rds-backup" => (95, 3),
        "aurora-storage" => (10, 2),
        "aurora-iopt-storage" => (225, 3),
        "aurora-io" => (20, 8),
        "aurora-acu" => (12, 2),
        "aurora-backup" => (21, 3),
        "s3-standard" => (23, 3),
        "s3-int-fa" => (23, 3),
        "s3-int-ia" => (125, 4),
        "s3-int-aia" => (4, 3),
        "s3-sia" => (125, 4),
        "s3-gir" => (4, 3),
        "s3-tier1" => (5, 6),
        "s3-tier2" => (4, 7),
        "s3-monitoring" => (25, 7),
        "logs-storage" => (3, 2),
        "logs-ingest" => (50, 2),
        "nat-hour" => (45, 3),
        "nat-gb" => (45, 3),
        "endpoint-hour" => (1, 2),
        "kms-request" => (3, 6),
        "transfer-az" => (1, 2),
        "glue-dpu" => (44, 2),
        "dns-query" => (4, 7),
        _ => (0, 0),
    };
    Decimal::new(mantissa, scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_those_of_the_price_list() {
        assert_eq!(broker("kafka.m7g.2xlarge"), Decimal::new(816, 3));
        assert_eq!(ec2("r6g.2xlarge"), Decimal::new(4032, 4));
        assert_eq!(database("db.m6g.xlarge", "mysql"), Decimal::new(304, 3));
        assert_eq!(in_region(Decimal::ONE, "eu-west-1"), Decimal::new(111, 2));
        assert_eq!(prefix("us-east-1"), "");
    }
}
