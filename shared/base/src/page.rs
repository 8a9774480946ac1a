//! Page tokens: base64url of the RPC, a hash of workspace, filter and order, and the last key shown.

use data_encoding::BASE64URL_NOPAD;

/// The page size where a request names none.
pub const DEFAULT_PAGE_SIZE: u32 = 50;
/// The largest page size.
pub const MAX_PAGE_SIZE: u32 = 1000;

/// A page to read: how many rows, and after which key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Rows at the most.
    pub size: u32,
    /// The key of the last row already shown; empty for the first page.
    pub after: Vec<u8>,
}

/// Why a page cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// The size is negative or past the maximum.
    #[error("must be between 0 (for {DEFAULT_PAGE_SIZE}) and {MAX_PAGE_SIZE}")]
    Size,
    /// The token is not ours, or belongs to another RPC, workspace or filter.
    #[error("is not a token of this call with these filters; start again without one")]
    Token,
}

impl Page {
    /// Reads `page_size` and `page_token` of a request; `binding` is a hash over RPC, workspace, filter and order.
    ///
    /// # Errors
    /// [`PageError`] names which of the two is wrong.
    pub fn parse(size: i32, token: &str, binding: [u8; 8]) -> Result<Self, PageError> {
        let size = u32::try_from(size).map_err(|_| PageError::Size)?;
        if size > MAX_PAGE_SIZE {
            return Err(PageError::Size);
        }
        let size = if size == 0 { DEFAULT_PAGE_SIZE } else { size };
        if token.is_empty() {
            return Ok(Self { size, after: Vec::new() });
        }
        let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).map_err(|_| PageError::Token)?;
        match bytes.split_at_checked(8) {
            Some((found, after)) if found == binding && !after.is_empty() => Ok(Self { size, after: after.to_vec() }),
            _ => Err(PageError::Token),
        }
    }

    /// The token of the page after the row with key `last`.
    pub fn token(binding: [u8; 8], last: &[u8]) -> String {
        BASE64URL_NOPAD.encode(&[&binding, last].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_belongs_to_its_filter() {
        let token = Page::token([1; 8], b"key");
        assert_eq!(Page::parse(10, &token, [1; 8]), Ok(Page { size: 10, after: b"key".to_vec() }));
        assert_eq!(Page::parse(10, &token, [2; 8]), Err(PageError::Token));
        assert_eq!(Page::parse(10, "%%%", [1; 8]), Err(PageError::Token));
    }

    #[test]
    fn sizes_have_a_default_and_a_limit() {
        assert_eq!(Page::parse(0, "", [0; 8]).map(|page| page.size), Ok(DEFAULT_PAGE_SIZE));
        assert_eq!(Page::parse(1000, "", [0; 8]).map(|page| page.size), Ok(1000));
        assert_eq!(Page::parse(1001, "", [0; 8]), Err(PageError::Size));
        assert_eq!(Page::parse(-1, "", [0; 8]), Err(PageError::Size));
    }
}
