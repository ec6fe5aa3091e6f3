//! The nouns: what centime talks about, without any I/O.

pub mod alert;
pub mod commitment;
pub mod cost;
pub mod daily;
pub mod finding;
pub mod incident;
pub mod money;
pub mod names;
pub mod opinion;
pub mod pattern;
pub mod price;
pub mod realised;
pub mod request;
pub mod resource;
pub mod secret;
pub mod table;
pub mod terraform;
pub mod time;
pub mod unit;
pub mod usage;

pub use alert::{Alert, Assessment};
pub use cost::{Charge, Selection};
pub use daily::DailyCost;
pub use finding::Finding;
pub use incident::Incident;
pub use money::Usd;
pub use price::Price;
pub use request::RequestCount;
pub use resource::{Kind, Ownership, Resource, Tags};
pub use secret::{Secret, SecretSource};
pub use table::{Column, Table, Type, Value};
pub use time::{Day, Hour, Month};
pub use usage::UsageDay;
