//! The rows of `member`.

use sea_orm::entity::prelude::*;

/// A member of the staff.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "member")]
pub struct Model {
    /// The workspace.
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub member_id: Uuid,
    /// The name.
    pub display_name: String,
    /// The mail address, unique in the workspace.
    pub email: String,
    /// Epoch microseconds.
    pub created_at: i64,
    /// Epoch microseconds.
    pub left_at: Option<i64>,
    /// Grows with every change.
    pub version: i64,
}

/// It has none.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
