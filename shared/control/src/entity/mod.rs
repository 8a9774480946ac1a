pub(crate) mod api_key;
pub(crate) mod member;
pub(crate) mod workspace;
