//! The distribution's nginx before a shop, with the files of `deploy/shopxo` as they are shipped.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

const MISSING: &str = "there is no nginx here, and this test needs one: apt-get install -y nginx";

/// The shop's own server, as an operator has it. PHP is behind HTTP here.
const SHOP: &str = "
daemon off;
master_process off;
pid FOLDER/pid;
error_log stderr notice;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path FOLDER/body;
    proxy_temp_path FOLDER/proxy;
    fastcgi_temp_path FOLDER/fastcgi;
    uwsgi_temp_path FOLDER/uwsgi;
    scgi_temp_path FOLDER/scgi;
    include FOLDER/upstream.conf;
    include FOLDER/routes.conf;
    LOGGING
    server {
        listen LISTEN;
        listen INNER;
        ROUTING
        location / {
            proxy_pass http://PHP;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }
    }
}
";

/// What an operator may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Nothing: the files as they are shipped.
    Shipped,
    /// The shop's PHP binds while mobile-bind is down.
    FallBack,
    /// mobile-bind has the mini-programs' routes too.
    Platforms,
    /// PHP answers everything as yet, and the binds are logged for a shadow.
    Shadowed,
    /// PHP answers everything as yet, and the binds are mirrored to a shadow, which is where mobile-bind would be.
    Mirrored,
}

/// A running nginx. It goes when this does.
pub struct Nginx {
    child: Child,
    /// Where the shop is asked.
    pub address: SocketAddr,
    folder: TempDir,
}

impl Nginx {
    /// Starts nginx before a shop's PHP and mobile-bind. As an operator would, it has other addresses in `upstream.conf`, and
    /// the lines commented in that are chosen.
    ///
    /// # Errors
    /// Where nginx is not installed, or does not start.
    pub fn start(php: SocketAddr, mobile_bind: SocketAddr, choice: Choice) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (listen, inner) = free_ports()?;
        let upstream = std::fs::read_to_string(deploy().join("upstream.conf"))?;
        let mut upstream = upstream.replace("127.0.0.1:8080", &mobile_bind.to_string());
        if choice == Choice::FallBack {
            upstream = upstream.replace("# server 127.0.0.1:8081 backup;", &format!("server {inner} backup;"));
            upstream = upstream.replace("# 8081 1;", &format!("{} 1;", inner.port()));
        }
        std::fs::write(folder.path().join("upstream.conf"), upstream)?;
        let mut routes = std::fs::read_to_string(deploy().join("nginx.conf"))?;
        if choice == Choice::Platforms {
            routes = routes.replace("# \"~", "\"~");
        }
        std::fs::write(folder.path().join("routes.conf"), routes)?;
        let file = folder.path().join("nginx.conf");
        let mirror = std::fs::read_to_string(deploy().join("mirror.conf"))?;
        let mirror = mirror.replace("127.0.0.1:8090", &mobile_bind.to_string());
        std::fs::write(folder.path().join("mirror.conf"), mirror)?;
        let (logging, routing) = match choice {
            Choice::Shadowed => ("include DEPLOY/shadow.conf;", shadowed()?),
            Choice::Mirrored => ("include FOLDER/mirror.conf;", "include DEPLOY/mirror-server.conf;".to_owned()),
            _ => ("", "include DEPLOY/server.conf;".to_owned()),
        };
        let text = SHOP.replace("LOGGING", logging).replace("ROUTING", &routing);
        let text = text.replace("FOLDER", &folder.path().to_string_lossy());
        let text = text.replace("DEPLOY", &deploy().to_string_lossy()).replace("PHP", &php.to_string());
        let text = text.replace("LISTEN", &listen.to_string()).replace("INNER", &inner.to_string());
        std::fs::write(&file, text)?;
        let mut nginx = Command::new(program()?);
        nginx.arg("-p").arg(folder.path()).args(["-e", "stderr", "-c"]).arg(file);
        let mut child = nginx.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let started = started(&mut child);
        let nginx = Self { child, address: listen, folder };
        started.map(|()| nginx)
    }
}

impl Nginx {
    /// Has nginx finish, and answers what it logged for a shadow.
    ///
    /// # Errors
    /// Where it does not finish in order, or logged nothing.
    pub fn finish(mut self) -> Result<String> {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::QUIT)?;
        ensure!(self.child.wait()?.success(), "nginx did not finish in order");
        Ok(std::fs::read_to_string(self.folder.path().join("shadow.log"))?)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads what nginx says until it says what it waits for requests with: then it listens.
fn started(child: &mut Child) -> Result<()> {
    let mut reader = BufReader::new(child.stderr.take().context("nginx has no standard error")?);
    let mut said = String::new();
    loop {
        let begin = said.len();
        if reader.read_line(&mut said)? == 0 {
            bail!("nginx did not start:\n{said}");
        }
        if said[begin..].contains("event method") {
            // What it says later must not fill the pipe, and is seen where a test fails.
            std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::stderr()));
            return Ok(());
        }
    }
}

/// The line that the file for a shadow names for the shop's server, with a log of the test's own.
fn shadowed() -> Result<String> {
    let text = std::fs::read_to_string(deploy().join("shadow.conf"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("# access_log ")).context("the file names no line")?;
    Ok(format!("access_log {}", line.replace("/var/log/nginx/mobile-bind-shadow.log", "FOLDER/shadow.log")))
}

fn deploy() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/shopxo")
}

fn program() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join("nginx")).find(|file| file.is_file()).context(MISSING)
}

fn free_ports() -> Result<(SocketAddr, SocketAddr)> {
    let one = TcpListener::bind(("127.0.0.1", 0))?;
    let other = TcpListener::bind(("127.0.0.1", 0))?;
    Ok((one.local_addr()?, other.local_addr()?))
}
