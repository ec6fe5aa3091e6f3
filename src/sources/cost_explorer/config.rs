//! Section `cost`, and which months are read when.

use jiff::civil::Date;

use super::{Cut, Job, View};
use crate::model::time::Month;
use crate::model::{Day, Selection};
use crate::yaml::{self, Content, Fields, Node, Reader};

/// Day of a month until which the month before may still change: AWS rewrites the previous period
/// for up to two weeks after its end (AWS Data Exports user guide, export delivery), and then it is
/// read once more.
const PREVIOUS_UNTIL: i8 = 16;

/// Section `cost`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Views that are read, the most valuable first.
    pub views: Vec<View>,
    /// Cost is net of private discounts: NetUnblendedCost and NetAmortizedCost.
    pub net: bool,
    /// Parts of the bill that budgets count and no view holds; each is a query of its own. They come
    /// from the budgets, not from this section.
    pub selections: Vec<Selection>,
    /// Key of the cost allocation tag that names the team.
    pub team_tag: String,
    /// Key of the cost allocation tag that names the environment.
    pub environment_tag: String,
    /// Days after which a day's cost is taken as settled.
    pub settle_days: u32,
    /// Months before the current one that the first start reads.
    pub history_months: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            views: View::ALL.to_vec(),
            net: false,
            selections: Vec::new(),
            team_tag: "team".to_owned(),
            environment_tag: "environment".to_owned(),
            settle_days: 2,
            history_months: 13,
        }
    }
}

impl yaml::Read for Config {
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let default = Self::default();
        let mut fields = Fields::of(node, path, reader)?;
        let config = Self {
            views: fields
                .take("views", reader)
                .and_then(|node| views(node, &format!("{path}.views"), reader))
                .unwrap_or(default.views),
            net: fields.or("net", default.net, reader),
            selections: default.selections,
            team_tag: fields.or("team_tag", default.team_tag, reader),
            environment_tag: fields.or("environment_tag", default.environment_tag, reader),
            settle_days: fields.or("settle_days", default.settle_days, reader),
            history_months: fields.or("history_months", default.history_months, reader),
        };
        let mut check = |name: &str, is_right: bool, expected: &str| {
            if !is_right {
                let place = fields.place_of(name);
                reader.problem(place, format!("`{path}.{name}` must be {expected}"));
            }
        };
        check("settle_days", (1..=14).contains(&config.settle_days), "from 1 to 14");
        // Cost Explorer keeps 13 months beside the current one at daily granularity.
        check("history_months", config.history_months <= 13, "13 or less");
        check("team_tag", !config.team_tag.is_empty(), "a tag's key");
        check("environment_tag", !config.environment_tag.is_empty(), "a tag's key");
        fields.finish(reader);
        Some(config)
    }
}

/// A list of view names, put into the order of their value.
fn views(node: &Node, path: &str, reader: &mut Reader) -> Option<Vec<View>> {
    let Content::List(items) = &node.content else {
        return reader.expected(node, path, "a list of views");
    };
    let path = format!("{path}[]");
    let named: Vec<_> = items
        .iter()
        .map(|item| yaml::one_of(item, &path, reader, &View::NAMES).and_then(View::parse))
        .collect();
    let named: Vec<View> = named.into_iter().collect::<Option<_>>()?;
    Some(View::ALL.into_iter().filter(|view| named.contains(view)).collect())
}

impl Config {
    /// Everything that is read, the most valuable first.
    pub fn cuts(&self) -> impl Iterator<Item = Cut> + '_ {
        let selections = self.selections.iter().cloned().map(Cut::Selection);
        self.views.iter().copied().map(Cut::View).chain(selections)
    }

    /// What may still move on `today`: every view over the open month, and over the one before until
    /// its last correction can have come.
    pub fn current(&self, today: Day) -> Vec<Job> {
        let (first, last) = months_to_read(today);
        self.cuts().map(|cut| Job { cut, first, last }).collect()
    }

    /// What a first start reads: month by month, so that each is kept as soon as it is there, the
    /// current one first; of each month the most valuable view first.
    pub fn history(&self, today: Day) -> Vec<Job> {
        let months = std::iter::successors(Some(Month::of(today)), |month| Some(month.previous()));
        months
            .take(self.history_months as usize + 1)
            .flat_map(|month| self.cuts().map(move |cut| Job { cut, first: month, last: month }))
            .collect()
    }
}

/// The months whose cost may still move on `today`, oldest and newest.
pub(super) fn months_to_read(today: Day) -> (Month, Month) {
    let open = Month::of(today);
    if today.day() <= PREVIOUS_UNTIL { (open.previous(), open) } else { (open, open) }
}

/// The range that Cost Explorer is asked for: its end is excluded, and tomorrow at the latest.
pub(super) fn period(job: &Job, today: Day) -> (Date, Date) {
    let tomorrow = today.tomorrow().unwrap_or(today);
    (job.first.first(), job.last.next().first().min(tomorrow))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn read(text: &str) -> Result<Config, yaml::Problems> {
        yaml::read("centime.yaml", text, |root, reader| {
            <Config as yaml::Read>::read(root, "cost", reader)
        })
    }

    #[test]
    fn the_previous_month_is_read_until_the_16th() {
        let months = |today| {
            let (first, last) = months_to_read(today);
            (first.to_string(), last.to_string())
        };
        assert_eq!(months(date(2026, 3, 16)), ("2026-02".to_owned(), "2026-03".to_owned()));
        assert_eq!(months(date(2026, 3, 17)), ("2026-03".to_owned(), "2026-03".to_owned()));
        assert_eq!(months(date(2026, 1, 1)), ("2025-12".to_owned(), "2026-01".to_owned()));
    }

    #[test]
    fn fourteen_days_back_are_always_read_again() {
        for day in crate::model::time::days(date(2023, 12, 1), date(2026, 3, 31)) {
            let (first, _) = months_to_read(day);
            let back = (0..14).fold(day, |day, _| day.yesterday().unwrap());
            assert!(first.first() <= back, "{day}");
        }
    }

    #[test]
    fn the_first_start_reads_fourteen_months_the_newest_first() {
        let jobs = Config::default().history(date(2026, 3, 5));
        assert_eq!(jobs.len(), 14 * 6);
        assert_eq!(
            (jobs[0].cut.clone(), jobs[0].first.to_string()),
            (View::AccountService.into(), "2026-03".into())
        );
        assert_eq!(jobs[83].first.to_string(), "2025-02");
        assert!(jobs.iter().all(|job| job.first == job.last));
    }

    #[test]
    fn the_end_is_excluded_and_never_after_tomorrow() {
        let job = |first: &str, last: &str| Job {
            cut: View::Team.into(),
            first: first.parse().unwrap(),
            last: last.parse().unwrap(),
        };
        let today = date(2024, 3, 31);
        assert_eq!(period(&job("2024-02", "2024-02"), today), (date(2024, 2, 1), date(2024, 3, 1)));
        assert_eq!(period(&job("2024-02", "2024-03"), today), (date(2024, 2, 1), date(2024, 4, 1)));
        let today = date(2024, 3, 1);
        assert_eq!(period(&job("2024-03", "2024-03"), today), (date(2024, 3, 1), date(2024, 3, 2)));
    }

    #[test]
    fn settings_are_read_and_checked() {
        let config =
            read("views: [region, account_service]\nteam_tag: squad\nnet: true\n").unwrap();
        assert_eq!(config.views, [View::AccountService, View::Region]);
        assert_eq!((config.team_tag.as_str(), config.net), ("squad", true));
        let problems =
            read("views: [regions]\nsettle_days: 0\nhistory_months: 40\n").unwrap_err().to_string();
        for part in ["did you mean `region`", "from 1 to 14", "13 or less"] {
            assert!(problems.contains(part), "{part} in {problems}");
        }
    }
}
