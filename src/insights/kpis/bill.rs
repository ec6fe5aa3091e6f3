//! What the bill alone tells: who pays, what is tagged, what commitments do, what it runs on.

use rust_decimal::Decimal;

use super::{Facts, Figure, Measured, Paid, Priced};
use crate::insights::commitments::{Part, part};
use crate::model::Usd;
use crate::model::cost::aws_service;
use crate::model::names::is_same_tag_key;
use crate::services::facts::vcpus;

/// What only an export of the bill tells is not known without one.
const NEEDS_EXPORT: &str = "Cost Explorer does not tell it: an export of the bill does";

pub(super) fn allocation_coverage(facts: &Facts) -> Measured {
    let none = "the month has no cost to allocate";
    let (allocated, all) = facts.allocated.ok_or(none)?;
    Figure::ratio(allocated.0, all.0, none)
}

pub(super) fn tag_compliance(facts: &Facts) -> Measured {
    let tagged = facts.tagged.as_ref().ok_or(NEEDS_EXPORT)?;
    let (mut compliant, mut all) = (Usd::ZERO, Usd::ZERO);
    for (tags, cost) in tagged {
        let has = |(keys, values): &(Vec<String>, Vec<String>)| {
            let found = keys.iter().find_map(|key| {
                tags.iter()
                    .filter(|(own, _)| is_same_tag_key(own, key))
                    .map(|(_, value)| value.trim().to_lowercase())
                    .find(|value| !value.is_empty())
            });
            found.is_some_and(|value| values.is_empty() || values.contains(&value))
        };
        all += *cost;
        if facts.required_tags.iter().all(has) {
            compliant += *cost;
        }
    }
    Figure::ratio(compliant.0, all.0, "no charge of the month has a resource")
}

pub(super) fn commitment_coverage(facts: &Facts) -> Measured {
    let none = "nothing that Savings Plans could cover is used";
    if let Some(priced) = facts.priced {
        let eligible = priced.covered + priced.eligible_on_demand;
        return Figure::ratio(priced.covered.0, eligible.0, none);
    }
    let explored = facts.explored.as_ref().ok_or(
        "it was not measured in this month: Cost Explorer is asked where there is a Savings Plan, and an \
         export of the bill tells it of every month",
    )?;
    let covered: Usd = explored.of.iter().map(|it| it.covered).sum();
    let on_demand: Usd = explored.of.iter().map(|it| it.on_demand).sum();
    let figure = Figure::ratio(covered.0, (covered + on_demand).0, none)?;
    let of = Some(format!("of the four weeks through {}", explored.through));
    Ok(Figure { of, ..figure })
}

/// Used and unused commitments of the month, amortized; `None` when there are none.
fn commitments(facts: &Facts) -> Result<Option<(Usd, Usd)>, String> {
    facts.through.ok_or("no day of the month has settled")?;
    if facts.records.is_empty() {
        return Err("the bill was not read by record type".to_owned());
    }
    let (mut used, mut unused, mut is_there) = (Usd::ZERO, Usd::ZERO, false);
    for (record_type, cost) in &facts.records {
        match part(record_type) {
            Some((_, Part::Used)) => used += *cost,
            Some((_, Part::Unused)) => unused += *cost,
            None => continue,
        }
        is_there = true;
    }
    Ok(is_there.then_some((used, unused)))
}

pub(super) fn commitment_utilization(facts: &Facts) -> Measured {
    let none = "there is no commitment";
    let (used, unused) = commitments(facts)?.ok_or(none)?;
    Figure::ratio(used.0, (used + unused).0, none)
}

pub(super) fn unused_commitment(facts: &Facts) -> Measured {
    let (_, unused) = commitments(facts)?.unwrap_or_default();
    Ok(Figure::of(unused.0))
}

/// Against a price of the same usage: what was paid for it, and for commitments that nothing used.
fn savings_rate(facts: &Facts, paid: fn(&Priced) -> Paid) -> Measured {
    let priced = facts.priced.as_ref().ok_or(NEEDS_EXPORT)?;
    let (_, unused) = commitments(facts)?.unwrap_or_default();
    let Paid { price, effective } = paid(priced);
    let saved = price - effective - unused;
    Figure::ratio(saved.0, price.0, "the export does not tell such a price of any usage")
}

pub(super) fn effective_savings_rate(facts: &Facts) -> Measured {
    savings_rate(facts, |priced| priced.contracted)
}

pub(super) fn effective_savings_rate_list(facts: &Facts) -> Measured {
    savings_rate(facts, |priced| priced.list)
}

pub(super) fn extended_support(facts: &Facts) -> Measured {
    facts.run_rate()?;
    let of_support = facts.leaves.iter().filter(|leaf| leaf.usage_type.contains("ExtendedSupport"));
    Ok(Figure::of(of_support.map(|leaf| leaf.cost).sum::<Usd>().0))
}

/// Family of the instance class in a usage type's name: `m6g` of `EU-BoxUsage:m6g.large` and of
/// `EU-InstanceUsage:db.m6g.large`, `m7g` of `EU-Kafka.m7g.large`. `None` of what names no class.
fn family(usage_type: &str) -> Option<&str> {
    const CLASSED: [&str; 5] =
        ["BoxUsage:", "SpotUsage:", "InstanceUsage:", "Multi-AZUsage:", "ReservedUsage:"];
    let of = |mark: &str| usage_type.find(mark).map(|at| &usage_type[at + mark.len()..]);
    let class = CLASSED.iter().find_map(|mark| of(mark));
    let class = class.or_else(|| of("Kafka.")).or_else(|| of("Express."))?;
    let (family, _) = class.strip_prefix("db.").unwrap_or(class).split_once('.')?;
    // `Kafka.Storage.GP2` is no class: the name of one has a generation.
    family.contains(|letter: char| letter.is_ascii_digit()).then_some(family)
}

/// AWS's own processors: a `g` stands right behind the generation (EC2 User Guide, naming
/// conventions). The first of them was `a1`.
fn is_graviton(family: &str) -> bool {
    let generation = family.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
    let behind = generation.trim_start_matches(|letter: char| letter.is_ascii_digit());
    family == "a1" || behind.starts_with('g')
}

pub(super) fn graviton_share(facts: &Facts) -> Measured {
    facts.run_rate()?;
    let (mut graviton, mut all) = (Usd::ZERO, Usd::ZERO);
    for leaf in &facts.leaves {
        let Some(family) = family(&leaf.usage_type) else { continue };
        // A node of EMR is billed by EC2, and once more for EMR itself.
        if aws_service(&leaf.service) == "emr" {
            continue;
        }
        all += leaf.cost;
        if is_graviton(family) {
            graviton += leaf.cost;
        }
    }
    Figure::ratio(graviton.0, all.0, "nothing of the month is billed by instance class")
}

pub(super) fn spot_share(facts: &Facts) -> Measured {
    let nodes = facts.nodes.as_ref().ok_or(NEEDS_EXPORT)?;
    let (mut spot, mut all) = (Decimal::ZERO, Decimal::ZERO);
    for (usage_type, hours) in nodes {
        let class = usage_type.rsplit(':').next().unwrap_or_default();
        let per_hour = vcpus(class)
            .and_then(|vcpus| Decimal::try_from(vcpus).ok())
            .ok_or_else(|| format!("it is not known how many vCPUs `{class}` has"))?;
        all += hours * per_hour;
        if usage_type.contains("SpotUsage") {
            spot += hours * per_hour;
        }
    }
    Figure::ratio(spot, all, "no charge of the month has the tag of an EMR cluster's node")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_type_names_the_family_of_its_class() {
        for (usage_type, expected) in [
            ("EU-BoxUsage:m6g.large", Some(("m6g", true))),
            ("EU-SpotUsage:r5.2xlarge", Some(("r5", false))),
            ("EU-InstanceUsage:db.t4g.medium", Some(("t4g", true))),
            ("EU-Multi-AZUsage:db.r6gd.large", Some(("r6gd", true))),
            ("EU-Kafka.m7g.large", Some(("m7g", true))),
            ("EU-Express.m7g.large", Some(("m7g", true))),
            ("EU-BoxUsage:g4dn.xlarge", Some(("g4dn", false))),
            ("EU-BoxUsage:im4gn.xlarge", Some(("im4gn", true))),
            ("EU-BoxUsage:a1.xlarge", Some(("a1", true))),
            ("EU-Kafka.Storage.GP2", None),
            ("EU-Express.Storage", None),
            ("EU-RDS:GP3-Storage", None),
        ] {
            let found = family(usage_type).map(|family| (family, is_graviton(family)));
            assert_eq!(found, expected, "{usage_type}");
        }
    }
}
