//! What Cost Explorer's record types mean in FOCUS.

/// FOCUS's ChargeCategory of a RECORD_TYPE, and whether the type is a known one. What is not known
/// is an adjustment: shown, never dropped.
///
/// Line item types: the queries of AWS's cloud-intelligence-dashboards. Cost Explorer's spelling of
/// them is not documented, so spaces, hyphens and case are passed over.
pub fn charge_category(record_type: &str) -> (&'static str, bool) {
    let name: String = record_type
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric())
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    match name.as_str() {
        "usage" | "discountedusage" | "savingsplancoveredusage" | "savingsplannegation" => {
            ("Usage", true)
        }
        "rifee" | "fee" | "support" | "recurring" | "upfront" => ("Purchase", true),
        name if name.ends_with("recurringfee") || name.ends_with("upfrontfee") => {
            ("Purchase", true)
        }
        "tax" => ("Tax", true),
        "credit" => ("Credit", true),
        // What was refunded is not told: neither usage nor purchase.
        "refund" => ("Adjustment", true),
        name if name.ends_with("discount") => ("Usage", true),
        _ => ("Adjustment", false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_types_become_focus_categories_whatever_their_spelling() {
        for (record_type, category) in [
            ("Usage", "Usage"),
            ("DiscountedUsage", "Usage"),
            ("SavingsPlanCoveredUsage", "Usage"),
            ("SavingsPlanNegation", "Usage"),
            ("Savings Plan Negation", "Usage"),
            ("Enterprise Discount Program Discount", "Usage"),
            ("SavingsPlanRecurringFee", "Purchase"),
            ("SavingsPlanUpfrontFee", "Purchase"),
            ("RIFee", "Purchase"),
            ("Fee", "Purchase"),
            ("Support", "Purchase"),
            ("Tax", "Tax"),
            ("Credit", "Credit"),
            ("Refund", "Adjustment"),
        ] {
            assert_eq!(charge_category(record_type), (category, true), "{record_type}");
        }
    }

    #[test]
    fn an_unknown_record_type_is_an_adjustment_and_is_told() {
        assert_eq!(charge_category("Moon Tax Rebate"), ("Adjustment", false));
        assert_eq!(charge_category(""), ("Adjustment", false));
    }
}
