//! The connection, to one server or to a cluster.

use std::fmt;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, Pipeline, RedisFuture, RedisResult, Value};

use super::RedisConfig;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Where to connect to.
pub(super) enum Target {
    Server(Client, Duration),
    Cluster(Box<ClusterClient>),
}

impl Target {
    pub(super) fn new(config: &RedisConfig) -> RedisResult<Self> {
        if config.cluster {
            let client = ClusterClient::builder(config.urls.iter().map(String::as_str))
                .connection_timeout(CONNECT_TIMEOUT)
                .response_timeout(config.fill_timeout)
                .retries(1)
                .build()?;
            return Ok(Self::Cluster(Box::new(client)));
        }
        let url = config.urls.first().map_or("", String::as_str);
        Ok(Self::Server(Client::open(url)?, config.fill_timeout))
    }

    pub(super) async fn connect(&self) -> RedisResult<Wire> {
        match self {
            Self::Server(client, response_timeout) => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(CONNECT_TIMEOUT))
                    .set_response_timeout(Some(*response_timeout));
                client.get_multiplexed_async_connection_with_config(&config).await.map(Wire::Server)
            }
            Self::Cluster(client) => client.get_async_connection().await.map(Wire::Cluster),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The addresses may hold passwords.
        formatter.write_str(match self {
            Self::Server(..) => "Server",
            Self::Cluster(_) => "Cluster",
        })
    }
}

/// A connection that many calls share.
#[derive(Clone)]
pub(super) enum Wire {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Wire {
    /// Which life of Redis this is: another one after any server of it was started anew.
    pub(super) async fn life(&mut self) -> RedisResult<u64> {
        let mut ask = redis::cmd("INFO");
        ask.arg("server");
        let texts = match self {
            Self::Server(connection) => vec![ask.query_async::<String>(connection).await?],
            Self::Cluster(connection) => {
                let everyone = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                let answers = connection.route_command(ask, everyone).await?;
                Vec::<(String, String)>::from_redis_value(answers)?.into_iter().map(|(_, text)| text).collect()
            }
        };
        let mut runs: Vec<_> = texts.iter().filter_map(|text| run_id(text)).collect();
        runs.sort_unstable();
        let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(runs.concat().as_bytes()).as_bytes();
        Ok(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }
}

fn run_id(info: &str) -> Option<&str> {
    info.lines().find_map(|line| line.trim_end().strip_prefix("run_id:"))
}

impl ConnectionLike for Wire {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Wire")
    }
}
