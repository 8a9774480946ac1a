//! Lists, page by page: as many rows as were asked for, and how many more there are.

use clap::Args;
use prost::Message;

use super::Session;
use super::methods::Method;
use crate::failure::Failure;
use crate::output::Answer;

/// The largest page a server gives.
const PAGE: usize = 1000;

/// How many pages are read only to count what is not shown.
const COUNTED_PAGES: usize = 10;

/// How many rows are wanted.
#[derive(Debug, Clone, Args)]
pub(crate) struct RowArgs {
    /// Rows at the most
    #[arg(long, value_name = "N", default_value_t = 50, conflicts_with = "all")]
    pub(crate) limit: usize,
    /// All rows
    #[arg(long)]
    pub(crate) all: bool,
}

/// Rows, and how many more there are.
#[derive(Debug)]
pub(crate) struct Rows<T> {
    /// The rows.
    pub(crate) rows: Vec<T>,
    more: More,
}

/// How many rows are not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum More {
    /// So many.
    Exactly(usize),
    /// So many at least.
    AtLeast(usize),
}

impl RowArgs {
    /// The most rows to show.
    pub(crate) fn most(&self) -> usize {
        if self.all { usize::MAX } else { self.limit }
    }

    /// The last rows of a list that is known whole.
    pub(crate) fn last<T>(&self, mut rows: Vec<T>) -> Rows<T> {
        let hidden = rows.len().saturating_sub(self.most());
        rows.drain(..hidden);
        Rows { rows, more: More::Exactly(hidden) }
    }
}

impl Session<'_> {
    /// Reads a list. `turn` sets the size and the token of a page in a request, `rows` takes an answer apart.
    ///
    /// # Errors
    /// As of [`Session::call`].
    pub(crate) async fn pages<Q, A, T>(
        &mut self,
        method: &Method<Q, A>,
        mut request: Q,
        wanted: &RowArgs,
        turn: fn(&mut Q, i32, String),
        split: fn(A) -> (Vec<T>, String),
    ) -> Result<Rows<T>, Failure>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let most = wanted.most();
        let mut rows = Vec::new();
        let mut token = String::new();
        while rows.len() < most {
            let size = (most - rows.len()).min(PAGE);
            turn(&mut request, i32::try_from(size).unwrap_or(0), std::mem::take(&mut token));
            let (page, next) = split(self.call(method, request.clone()).await?);
            rows.extend(page);
            token = next;
            if token.is_empty() {
                break;
            }
        }
        let mut beyond = rows.len().saturating_sub(most);
        rows.truncate(most);
        for _ in 0..COUNTED_PAGES {
            if token.is_empty() {
                return Ok(Rows { rows, more: More::Exactly(beyond) });
            }
            turn(&mut request, i32::try_from(PAGE).unwrap_or(0), std::mem::take(&mut token));
            let (page, next) = split(self.call(method, request.clone()).await?);
            beyond += page.len();
            token = next;
        }
        let more = if token.is_empty() { More::Exactly(beyond) } else { More::AtLeast(beyond) };
        Ok(Rows { rows, more })
    }

    /// Prints rows, and says how many more there are.
    ///
    /// # Errors
    /// They cannot be printed.
    pub(crate) fn print_rows(&mut self, answer: &Answer, more: More) -> Result<(), Failure> {
        self.print(answer)?;
        let count = match more {
            More::Exactly(0) => return Ok(()),
            More::Exactly(count) => count.to_string(),
            More::AtLeast(count) => format!("more than {count}"),
        };
        self.shell.note(&format!("{count} more: --limit N or --all shows them"));
        Ok(())
    }
}

impl<T> Rows<T> {
    /// How many rows are not shown.
    pub(crate) fn more(&self) -> More {
        self.more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rows_of_a_list_are_shown_and_the_others_counted() {
        let wanted = RowArgs { limit: 2, all: false };
        let rows = wanted.last(vec![1, 2, 3, 4, 5]);
        assert_eq!((rows.rows.as_slice(), rows.more()), ([4, 5].as_slice(), More::Exactly(3)));
        let all = RowArgs { all: true, ..wanted }.last(vec![1, 2, 3]);
        assert_eq!((all.rows.len(), all.more()), (3, More::Exactly(0)));
    }
}
