//! The rows of `api_key`.

use sea_orm::entity::prelude::*;

/// An API key.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_key")]
pub struct Model {
    /// The workspace it opens.
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key_id: Uuid,
    /// Its name for people.
    pub display_name: String,
    /// Scopes, separated by spaces.
    pub scopes: String,
    /// BLAKE3 of the secret.
    pub secret_hash: Vec<u8>,
    /// Epoch microseconds.
    pub created_at: i64,
    /// Epoch microseconds.
    pub expires_at: Option<i64>,
    /// Epoch microseconds.
    pub revoked_at: Option<i64>,
}

/// It has none.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
