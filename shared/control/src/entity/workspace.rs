//! The rows of `workspace`.

use sea_orm::entity::prelude::*;

/// A workspace.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "workspace")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    /// Its name for people.
    pub display_name: String,
    /// Whether it is a TEST workspace.
    pub test: bool,
    /// Its IANA zone.
    pub time_zone: String,
    /// Whether data of an unknown account are rejected instead of making a stub.
    pub reject_unknown_account: bool,
    /// ISO 4217.
    pub reporting_currency: String,
    /// Rates as `CUR:day:micros`, separated by spaces.
    pub rates: String,
    /// Where its clock stands, epoch microseconds.
    pub clock_set_to: Option<i64>,
    /// Whether a generator made its data.
    pub synthetic: bool,
    /// When it was made, epoch microseconds.
    pub created_at: i64,
    /// Grows with every change.
    pub version: i64,
}

/// It has none.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
