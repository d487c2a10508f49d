//! Nginx with nchan, as distributions package it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Launch, Start, System, Transport, free_address};
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
        std::fs::write(&path, configuration(module, address, launch))
            .context("cannot write the configuration of nginx")?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(launch.folder).arg("-c").arg(path);
        command.arg("-e").arg(launch.folder.join("error.log"));
        Ok(Start { command, address: Some(address) })
    }

    fn opening(&self, topic: &str, transport: Transport) -> Result<Opening> {
        let path = format!("/subscribe/{topic}");
        Ok(match transport {
            Transport::Sse => Opening::new(request::get(&path), ": hi\n"),
            Transport::Websocket => Opening::web_socket(request::upgrade(&path, None)),
            Transport::Poll => bail!("nchan is not measured with long polls"),
        })
    }

    /// From the oldest event that is kept: publishers are not told where an event is.
    fn resumption(&self, topic: &str, transport: Transport, _: &[u8]) -> Result<Opening> {
        let path = format!("/resume/{topic}");
        Ok(match transport {
            Transport::Sse => Opening::until_answered(request::get(&path)),
            Transport::Websocket => Opening::web_socket(request::upgrade(&path, None)),
            Transport::Poll => bail!("nchan is not measured with long polls"),
        })
    }

    fn publication(&self, topic: &str, body: &str) -> Vec<u8> {
        request::post(&format!("/publish/{topic}"), "application/json", body.as_bytes())
    }
}

/// One worker with room for as many connections as a process may have here.
fn configuration(module: &str, address: SocketAddr, launch: &Launch<'_>) -> String {
    let folder = launch.folder.display();
    let (listen, tls) = match launch.certificate {
        None => (address.to_string(), String::new()),
        Some(certificate) => (
            format!("{address} ssl"),
            format!(
                "    ssl_certificate {};\n    ssl_certificate_key {};\n",
                certificate.chain.display(),
                certificate.key.display()
            ),
        ),
    };
    let (subscribe, resume) = (location("subscribe", "newest"), location("resume", "oldest"));
    format!(
        "daemon off;\nworker_processes 1;\nworker_rlimit_nofile 20000;\npid {folder}/pid;\n\
         load_module {module};\nuser root;\n\
         events {{ worker_connections 20000; }}\n\
         http {{\n  access_log off;\n  client_body_temp_path {folder}/bodies;\n  \
         proxy_temp_path {folder}/proxied;\n  fastcgi_temp_path {folder}/fastcgi;\n  \
         uwsgi_temp_path {folder}/uwsgi;\n  scgi_temp_path {folder}/scgi;\n  \
         keepalive_requests 100000000;\n  \
         nchan_shared_memory_size 256M;\n  server {{\n    listen {listen} backlog=4096;\n{tls}    \
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
