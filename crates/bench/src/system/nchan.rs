//! Nginx with nchan, as distributions package it.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{HEAD_END, Launch, Start, System};
use crate::load::{Opening, request};

const MODULES: &[&str] = &[
    "/usr/lib/nginx/modules/ngx_nchan_module.so",
    "/usr/lib64/nginx/modules/ngx_nchan_module.so",
    "/usr/local/lib/nginx/modules/ngx_nchan_module.so",
];

#[derive(Debug)]
pub(super) struct Nchan;

impl System for Nchan {
    fn start(&self, launch: &Launch<'_>) -> Result<Start> {
        let module = MODULES.iter().find(|path| Path::new(path).exists()).context(
            "nchan is not installed here; on Debian it is in nginx and libnginx-mod-nchan",
        )?;
        let address = free_address()?;
        let path = launch.folder.join("nginx.conf");
        std::fs::write(&path, configuration(module, address, launch.folder))
            .context("cannot write the configuration of nginx")?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(launch.folder).arg("-c").arg(path);
        command.arg("-e").arg(launch.folder.join("error.log"));
        Ok(Start { command, address: Some(address) })
    }

    fn opening(&self, topic: &str) -> Opening {
        Opening::new(request::get(&format!("/subscribe/{topic}")), ": hi\n")
    }

    /// From the oldest event that is kept: publishers are not told where an event is.
    fn resumption(&self, topic: &str, _: &[u8]) -> Result<Opening> {
        Ok(Opening::new(request::get(&format!("/resume/{topic}")), HEAD_END))
    }

    fn publication(&self, topic: &str, body: &str) -> Vec<u8> {
        request::post(&format!("/publish/{topic}"), "application/json", body.as_bytes())
    }
}

/// One worker with room for as many connections as a process may have here.
fn configuration(module: &str, address: SocketAddr, folder: &Path) -> String {
    let folder = folder.display();
    let (subscribe, resume) = (location("subscribe", "newest"), location("resume", "oldest"));
    format!(
        "daemon off;\nworker_processes 1;\nworker_rlimit_nofile 20000;\npid {folder}/pid;\n\
         load_module {module};\nuser root;\n\
         events {{ worker_connections 20000; }}\n\
         http {{\n  access_log off;\n  client_body_temp_path {folder}/bodies;\n  \
         proxy_temp_path {folder}/proxied;\n  fastcgi_temp_path {folder}/fastcgi;\n  \
         uwsgi_temp_path {folder}/uwsgi;\n  scgi_temp_path {folder}/scgi;\n  \
         keepalive_requests 100000000;\n  \
         nchan_shared_memory_size 256M;\n  server {{\n    listen {address} backlog=4096;\n    \
         location ~ ^/publish/(.+)$ {{\n      nchan_publisher http;\n      \
         nchan_channel_id $1;\n      nchan_message_buffer_length 5000;\n      \
         nchan_message_timeout 1h;\n    }}\n{subscribe}{resume}  }}\n}}\n"
    )
}

/// Where one subscribes, from the newest or the oldest event on.
fn location(name: &str, first: &str) -> String {
    format!(
        "    location ~ ^/{name}/(.+)$ {{\n      nchan_subscriber eventsource websocket;\n      \
         nchan_channel_id $1;\n      nchan_subscriber_first_message {first};\n    }}\n"
    )
}

/// An address that nobody listens at: for servers that cannot choose a port and tell.
pub(super) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("there is no free port")?;
    let address = listener.local_addr()?;
    ensure!(address.port() != 0, "the system gives no port");
    Ok(address)
}
