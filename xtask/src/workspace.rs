//! The workspace as cargo sees it: where it is, its packages and what each depends on.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `normal`, `dev` or `build`.
    pub(crate) kind: String,
}

impl Workspace {
    /// Asks cargo. Needs no network: dependencies are not resolved.
    pub(crate) fn read() -> Result<Self> {
        let arguments = ["metadata", "--format-version", "1", "--no-deps", "--offline"];
        // Asked when it runs, not when it was built: checkouts may share a target directory.
        let folder = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| ".".into());
        let text = process::output(process::cargo(&arguments).current_dir(folder))?;
        let metadata: Value = serde_json::from_str(&text).context("cargo metadata is no JSON")?;
        Self::parse(&metadata).context("cargo metadata lacks a field that it promises")
    }

    /// The folders with npm packages to install before their tests run.
    pub(crate) fn npm_folders(&self) -> [PathBuf; 5] {
        [
            self.real_clients_folder(),
            self.js_client_folder(),
            self.react_folder(),
            self.web_folder(),
            self.browser_folder(),
        ]
    }

    /// The pages.
    pub(crate) fn web_folder(&self) -> PathBuf {
        self.root.join("web")
    }

    /// Clients that others wrote, against the binary.
    pub(crate) fn real_clients_folder(&self) -> PathBuf {
        self.root.join("tests").join("clients")
    }

    /// The client library for browsers and Node, with its own tests.
    pub(crate) fn js_client_folder(&self) -> PathBuf {
        self.root.join("clients").join("js")
    }

    /// The client library's hooks for React, with their own tests.
    pub(crate) fn react_folder(&self) -> PathBuf {
        self.root.join("clients").join("react")
    }

    /// The client library for Python, with its own tests.
    pub(crate) fn python_client_folder(&self) -> PathBuf {
        self.root.join("clients").join("python")
    }

    /// What any client has to do, and the clients here that do it.
    pub(crate) fn conformance_folder(&self) -> PathBuf {
        self.root.join("clients").join("conformance")
    }

    /// The page in a browser.
    pub(crate) fn browser_folder(&self) -> PathBuf {
        self.root.join("tests").join("browser")
    }

    fn parse(metadata: &Value) -> Option<Self> {
        let packages = metadata["packages"].as_array()?;
        Some(Self {
            root: metadata["workspace_root"].as_str()?.into(),
            target: metadata["target_directory"].as_str()?.into(),
            packages: packages.iter().map(Package::parse).collect::<Option<_>>()?,
        })
    }
}

impl Package {
    fn parse(package: &Value) -> Option<Self> {
        let manifest = Path::new(package["manifest_path"].as_str()?);
        let dependencies = package["dependencies"].as_array()?;
        Some(Self {
            name: package["name"].as_str()?.to_owned(),
            folder: manifest.parent()?.to_owned(),
            dependencies: dependencies.iter().map(Dependency::parse).collect::<Option<_>>()?,
        })
    }
}

impl Dependency {
    fn parse(dependency: &Value) -> Option<Self> {
        Some(Self {
            name: dependency["name"].as_str()?.to_owned(),
            kind: dependency["kind"].as_str().unwrap_or("normal").to_owned(),
        })
    }
}
