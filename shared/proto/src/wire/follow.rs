//! A page of a feed around changes that are encoded already: they are sent as they were stored.

use bytes::Bytes;

use super::Answer;

/// `FollowResponse` of every package that has one, with its changes as bytes.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FollowPage {
    /// The workspace, `ws_…`.
    #[prost(string, tag = "1")]
    pub workspace_id: String,
    /// Partition by partition.
    #[prost(message, repeated, tag = "2")]
    pub segments: Vec<FollowSegment>,
    /// The epoch of the log.
    #[prost(bytes = "bytes", tag = "3")]
    pub epoch: Bytes,
    /// Whether there was nothing more a moment ago; such a page has no segments.
    #[prost(bool, tag = "4")]
    pub caught_up: bool,
}

/// `FeedSegment` of every package that has one, with its changes as bytes.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FollowSegment {
    /// The partition, 0 to 63.
    #[prost(int32, tag = "1")]
    pub partition: i32,
    /// The position before the first change.
    #[prost(int64, tag = "2")]
    pub after_seq: i64,
    /// The position reached, changes left out included.
    #[prost(int64, tag = "3")]
    pub through_seq: i64,
    /// The changes, each an encoded `Change` of the package.
    #[prost(bytes = "bytes", repeated, tag = "4")]
    pub changes: Vec<Bytes>,
}

impl FollowPage {
    /// The page as an answer of type `M`, the package's `FollowResponse`.
    pub fn answer<M>(&self) -> Answer<M> {
        Answer::Encoded(Bytes::from(prost::Message::encode_to_vec(self)))
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::{ingestion, scoring};

    fn page(changes: Vec<Vec<u8>>) -> FollowPage {
        let changes = changes.into_iter().map(Bytes::from).collect();
        let segment = FollowSegment { partition: 63, after_seq: 6, through_seq: 9, changes };
        FollowPage {
            workspace_id: "ws_1".to_owned(),
            segments: vec![segment],
            epoch: Bytes::from_static(b"e"),
            caught_up: false,
        }
    }

    #[test]
    fn stored_changes_arrive_as_messages_of_ingestion() {
        let change = ingestion::Change { seq: 7, key: Bytes::from_static(b"k"), ..Default::default() };
        let sent = page(vec![change.encode_to_vec(), ingestion::Change { seq: 9, ..change.clone() }.encode_to_vec()]);
        let segment = ingestion::FeedSegment {
            partition: 63,
            after_seq: 6,
            through_seq: 9,
            changes: vec![change.clone(), ingestion::Change { seq: 9, ..change }],
        };
        let wanted = ingestion::FollowResponse {
            workspace_id: "ws_1".to_owned(),
            segments: vec![segment],
            epoch: Bytes::from_static(b"e"),
            caught_up: false,
        };
        assert_eq!(ingestion::FollowResponse::decode(sent.encode_to_vec().as_slice()), Ok(wanted));
    }

    #[test]
    fn stored_changes_arrive_as_messages_of_scoring() {
        let change = scoring::Change { seq: 7, trace_parent: "00-1".to_owned(), ..Default::default() };
        let sent = page(vec![change.encode_to_vec()]);
        let segment = scoring::FeedSegment { partition: 63, after_seq: 6, through_seq: 9, changes: vec![change] };
        let wanted = scoring::FollowResponse {
            workspace_id: "ws_1".to_owned(),
            segments: vec![segment],
            epoch: Bytes::from_static(b"e"),
            caught_up: false,
        };
        assert_eq!(scoring::FollowResponse::decode(sent.encode_to_vec().as_slice()), Ok(wanted));
    }
}
