//! Rules of the catalogue that cannot be built from what AWS tells, and why: `docs/rules.md` lists them.

/// Id, and what is missing.
pub const UNBUILT: &[(&str, &str)] = &[
    (
        "s3-interregion-transfer",
        "The bill names pairs of regions (`EU-USE1-AWS-Out-Bytes`) for all accounts together, and Cost \
         Explorer gives no bucket. An export with resource ids would: it needs the cost of each \
         resource in the lake.",
    ),
    (
        "s3-nat-egress",
        "A NAT gateway's bytes are counted by gateway, not by where they go. Which of them go to S3 \
         stands in VPC flow logs only. `lambda-vpc-nat` says it of functions.",
    ),
    (
        "s3-storagelens-paid",
        "Whether one Storage Lens dashboard repeats another is what people meant by them; AWS tells \
         neither who reads a dashboard nor what it costs.",
    ),
];
