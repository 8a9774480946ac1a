//! Every method the program calls: its path, its messages, and whether a call may be repeated without harm.

use std::fmt;
use std::marker::PhantomData;

use keizoku_proto::ingestion::{
    CreateKeyRequest, CreateKeyResponse, CreateWorkspaceRequest, CreateWorkspaceResponse, GetAccountRequest,
    GetAccountResponse, GetCoverageRequest, GetCoverageResponse, GetMetricDaysRequest, GetMetricDaysResponse,
    GetReceiptRequest, GetReceiptResponse, GetWorkspaceRequest, GetWorkspaceResponse, IngestEventsRequest,
    IngestEventsResponse, ListAccountsRequest, ListAccountsResponse, ListKeysRequest, ListKeysResponse,
    ListMembersRequest, ListMembersResponse, ListMetricsRequest, ListMetricsResponse, ListTimelineRequest,
    ListTimelineResponse, ListWorkspacesRequest, ListWorkspacesResponse, PutMemberRequest, PutMemberResponse,
    PutMetricRequest, PutMetricResponse, RecordMeasurementsRequest, RecordMeasurementsResponse, ResetWorkspaceRequest,
    ResetWorkspaceResponse, RevokeKeyRequest, RevokeKeyResponse, SetClockRequest, SetClockResponse,
    UpdateWorkspaceRequest, UpdateWorkspaceResponse, WhoAmIRequest, WhoAmIResponse,
};
use keizoku_proto::scoring::{
    ApplyModelRequest, ApplyModelResponse, GetCompositionRequest, GetCompositionResponse, GetHistoryRequest,
    GetHistoryResponse, GetModelRequest, GetModelResponse, GetScoreRequest, GetScoreResponse,
    ListCompositionSnapshotsRequest, ListCompositionSnapshotsResponse, ListModelsRequest, ListModelsResponse,
    ListScoresRequest, ListScoresResponse, WatchScoresRequest, WatchScoresResponse,
};

/// A method of a service.
pub(crate) struct Method<Q, A> {
    path: &'static str,
    repeatable: bool,
    messages: PhantomData<fn(Q) -> A>,
}

impl<Q, A> Method<Q, A> {
    /// A read, a change with a request id, or one that is the same done twice.
    const fn repeatable(path: &'static str) -> Self {
        Self { path, repeatable: true, messages: PhantomData }
    }

    /// A change that must not be repeated unasked.
    const fn once(path: &'static str) -> Self {
        Self { path, repeatable: false, messages: PhantomData }
    }

    /// `package.Service/Method`.
    pub(crate) const fn path(&self) -> &'static str {
        self.path
    }

    /// Whether a call may be repeated without harm.
    pub(crate) const fn is_repeatable(&self) -> bool {
        self.repeatable
    }
}

impl<Q, A> fmt::Debug for Method<Q, A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.path)
    }
}

/// Says whom the key belongs to.
pub(crate) const WHO_AM_I: Method<WhoAmIRequest, WhoAmIResponse> =
    Method::repeatable("keizoku.ingestion.v1.ControlService/WhoAmI");
/// Makes a workspace. Its secret is only in the first answer, so it is never asked twice.
pub(crate) const CREATE_WORKSPACE: Method<CreateWorkspaceRequest, CreateWorkspaceResponse> =
    Method::once("keizoku.ingestion.v1.ControlService/CreateWorkspace");
/// The caller's workspace.
pub(crate) const GET_WORKSPACE: Method<GetWorkspaceRequest, GetWorkspaceResponse> =
    Method::repeatable("keizoku.ingestion.v1.ControlService/GetWorkspace");
/// All workspaces.
pub(crate) const LIST_WORKSPACES: Method<ListWorkspacesRequest, ListWorkspacesResponse> =
    Method::repeatable("keizoku.ingestion.v1.ControlService/ListWorkspaces");
/// Changes the caller's workspace.
pub(crate) const UPDATE_WORKSPACE: Method<UpdateWorkspaceRequest, UpdateWorkspaceResponse> =
    Method::repeatable("keizoku.ingestion.v1.ControlService/UpdateWorkspace");
/// Sets the clock of a TEST workspace.
pub(crate) const SET_CLOCK: Method<SetClockRequest, SetClockResponse> =
    Method::repeatable("keizoku.ingestion.v1.ControlService/SetClock");
/// Empties a TEST workspace.
pub(crate) const RESET_WORKSPACE: Method<ResetWorkspaceRequest, ResetWorkspaceResponse> =
    Method::once("keizoku.ingestion.v1.ControlService/ResetWorkspace");
/// Makes a key. Its secret is only in the first answer, so it is never asked twice.
pub(crate) const CREATE_KEY: Method<CreateKeyRequest, CreateKeyResponse> =
    Method::once("keizoku.ingestion.v1.ControlService/CreateKey");
/// The workspace's keys.
pub(crate) const LIST_KEYS: Method<ListKeysRequest, ListKeysResponse> =
    Method::repeatable("keizoku.ingestion.v1.ControlService/ListKeys");
/// Ends a key.
pub(crate) const REVOKE_KEY: Method<RevokeKeyRequest, RevokeKeyResponse> =
    Method::repeatable("keizoku.ingestion.v1.ControlService/RevokeKey");
/// Adds or changes a member.
pub(crate) const PUT_MEMBER: Method<PutMemberRequest, PutMemberResponse> =
    Method::repeatable("keizoku.ingestion.v1.ControlService/PutMember");
/// The workspace's staff.
pub(crate) const LIST_MEMBERS: Method<ListMembersRequest, ListMembersResponse> =
    Method::repeatable("keizoku.ingestion.v1.ControlService/ListMembers");
/// One account.
pub(crate) const GET_ACCOUNT: Method<GetAccountRequest, GetAccountResponse> =
    Method::repeatable("keizoku.ingestion.v1.AccountService/GetAccount");
/// All accounts.
pub(crate) const LIST_ACCOUNTS: Method<ListAccountsRequest, ListAccountsResponse> =
    Method::repeatable("keizoku.ingestion.v1.AccountService/ListAccounts");
/// A customer's history.
pub(crate) const LIST_TIMELINE: Method<ListTimelineRequest, ListTimelineResponse> =
    Method::repeatable("keizoku.ingestion.v1.AccountService/ListTimeline");
/// What has arrived.
pub(crate) const GET_COVERAGE: Method<GetCoverageRequest, GetCoverageResponse> =
    Method::repeatable("keizoku.ingestion.v1.AccountService/GetCoverage");
/// Takes events; each is known by its id, so a repeat stores nothing twice.
pub(crate) const INGEST_EVENTS: Method<IngestEventsRequest, IngestEventsResponse> =
    Method::repeatable("keizoku.ingestion.v1.EventService/IngestEvents");
/// Takes measurements; each is known by its id, so a repeat stores nothing twice.
pub(crate) const RECORD_MEASUREMENTS: Method<RecordMeasurementsRequest, RecordMeasurementsResponse> =
    Method::repeatable("keizoku.ingestion.v1.EventService/RecordMeasurements");
/// What was received from a source.
pub(crate) const GET_RECEIPT: Method<GetReceiptRequest, GetReceiptResponse> =
    Method::repeatable("keizoku.ingestion.v1.EventService/GetReceipt");
/// Defines a metric.
pub(crate) const PUT_METRIC: Method<PutMetricRequest, PutMetricResponse> =
    Method::repeatable("keizoku.ingestion.v1.EventService/PutMetric");
/// The metrics in force.
pub(crate) const LIST_METRICS: Method<ListMetricsRequest, ListMetricsResponse> =
    Method::repeatable("keizoku.ingestion.v1.EventService/ListMetrics");
/// The days of a metric.
pub(crate) const GET_METRIC_DAYS: Method<GetMetricDaysRequest, GetMetricDaysResponse> =
    Method::repeatable("keizoku.ingestion.v1.EventService/GetMetricDays");
/// Puts a model in force.
pub(crate) const APPLY_MODEL: Method<ApplyModelRequest, ApplyModelResponse> =
    Method::repeatable("keizoku.scoring.v1.ModelService/ApplyModel");
/// One model.
pub(crate) const GET_MODEL: Method<GetModelRequest, GetModelResponse> =
    Method::repeatable("keizoku.scoring.v1.ModelService/GetModel");
/// All models.
pub(crate) const LIST_MODELS: Method<ListModelsRequest, ListModelsResponse> =
    Method::repeatable("keizoku.scoring.v1.ModelService/ListModels");
/// One score.
pub(crate) const GET_SCORE: Method<GetScoreRequest, GetScoreResponse> =
    Method::repeatable("keizoku.scoring.v1.ScoreService/GetScore");
/// All scores.
pub(crate) const LIST_SCORES: Method<ListScoresRequest, ListScoresResponse> =
    Method::repeatable("keizoku.scoring.v1.ScoreService/ListScores");
/// Changes of scores.
pub(crate) const WATCH_SCORES: Method<WatchScoresRequest, WatchScoresResponse> =
    Method::repeatable("keizoku.scoring.v1.ScoreService/WatchScores");
/// A score's history.
pub(crate) const GET_HISTORY: Method<GetHistoryRequest, GetHistoryResponse> =
    Method::repeatable("keizoku.scoring.v1.ScoreService/GetHistory");
/// The composition.
pub(crate) const GET_COMPOSITION: Method<GetCompositionRequest, GetCompositionResponse> =
    Method::repeatable("keizoku.scoring.v1.ScoreService/GetComposition");
/// The composition's weekly snapshots.
pub(crate) const LIST_COMPOSITION_SNAPSHOTS: Method<ListCompositionSnapshotsRequest, ListCompositionSnapshotsResponse> =
    Method::repeatable("keizoku.scoring.v1.ScoreService/ListCompositionSnapshots");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::reflect;

    fn assert_typed<Q, A>(method: &Method<Q, A>) {
        let found = reflect::method(method.path()).expect("the protos have the method");
        assert!(reflect::is_named::<Q>(&found.input()), "{method:?} takes {}", found.input().full_name());
        assert!(reflect::is_named::<A>(&found.output()), "{method:?} answers {}", found.output().full_name());
    }

    #[test]
    fn every_method_has_the_messages_of_its_proto() {
        assert_typed(&WHO_AM_I);
        assert_typed(&CREATE_WORKSPACE);
        assert_typed(&GET_WORKSPACE);
        assert_typed(&LIST_WORKSPACES);
        assert_typed(&UPDATE_WORKSPACE);
        assert_typed(&SET_CLOCK);
        assert_typed(&RESET_WORKSPACE);
        assert_typed(&CREATE_KEY);
        assert_typed(&LIST_KEYS);
        assert_typed(&REVOKE_KEY);
        assert_typed(&PUT_MEMBER);
        assert_typed(&LIST_MEMBERS);
        assert_typed(&GET_ACCOUNT);
        assert_typed(&LIST_ACCOUNTS);
        assert_typed(&LIST_TIMELINE);
        assert_typed(&GET_COVERAGE);
        assert_typed(&INGEST_EVENTS);
        assert_typed(&RECORD_MEASUREMENTS);
        assert_typed(&GET_RECEIPT);
        assert_typed(&PUT_METRIC);
        assert_typed(&LIST_METRICS);
        assert_typed(&GET_METRIC_DAYS);
        assert_typed(&APPLY_MODEL);
        assert_typed(&GET_MODEL);
        assert_typed(&LIST_MODELS);
        assert_typed(&GET_SCORE);
        assert_typed(&LIST_SCORES);
        assert_typed(&WATCH_SCORES);
        assert_typed(&GET_HISTORY);
        assert_typed(&GET_COMPOSITION);
        assert_typed(&LIST_COMPOSITION_SNAPSHOTS);
    }
}
