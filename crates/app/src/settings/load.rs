//! Reading the settings and telling an operator what is wrong with them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use config::{Config, Environment, File, FileFormat};

use super::{Settings, SmsProvider, TestNumber};

/// The file that is read where none is named, if it is there.
const DEFAULT_FILE: &str = "mobile-bind.toml";

/// What the command line sets.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<SocketAddr>,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// `--store`.
    pub store: Option<String>,
}

/// Reads the defaults, the file, the variables `MOBILE_BIND__SECTION__KEY` and the command line, each over those
/// before it.
///
/// # Errors
/// Where the file cannot be read, a key is unknown, or a value is not of its kind.
pub fn load(overrides: &Overrides) -> Result<Settings> {
    let environment = Environment::with_prefix("MOBILE_BIND").prefix_separator("__").separator("__");
    load_from(overrides, environment)
}

fn load_from(overrides: &Overrides, environment: Environment) -> Result<Settings> {
    let defaults = Settings::default();
    let known = known_names(&defaults)?;
    let mut builder = Config::builder().add_source(Config::try_from(&defaults)?);
    let mut given = Config::builder().add_source(environment.clone());
    if let Some(file) = file_of(overrides) {
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        builder = builder.add_source(File::from_str(&text, FileFormat::Toml));
        given = given.add_source(File::from_str(&text, FileFormat::Toml));
    }
    let path = |path: &PathBuf| path.to_string_lossy().into_owned();
    let settings = builder
        .add_source(environment)
        .set_override_option("listen", overrides.listen.map(|address| address.to_string()))?
        .set_override_option("data_dir", overrides.data_dir.as_ref().map(path))?
        .set_override_option("store", overrides.store.clone())?
        // A store that is named here is meant, whatever a file says.
        .set_override_option("store_file", overrides.store.as_ref().map(|_| String::new()))?
        .build()
        .context("the settings cannot be read")?;
    if let Some(unknown) = names(&settings.clone().try_deserialize()?).into_iter().find(|name| !is_known(name, &known))
    {
        bail!("unknown setting '{unknown}'{}", suggestion(&unknown, &known));
    }
    let settings: Settings = settings.try_deserialize().context("the settings cannot be used")?;
    Ok(Settings { given: names(&given.build()?.try_deserialize()?), ..settings })
}

fn file_of(overrides: &Overrides) -> Option<PathBuf> {
    let default = || Some(PathBuf::from(DEFAULT_FILE)).filter(|file| Path::exists(file));
    overrides.config.clone().or_else(default)
}

/// The dotted names of all values.
fn names(table: &toml::Table) -> BTreeSet<String> {
    let of = |(key, value): (&String, &toml::Value)| match value {
        toml::Value::Table(inner) => names(inner).iter().map(|name| format!("{key}.{name}")).collect(),
        _ => vec![key.clone()],
    };
    table.iter().flat_map(of).collect()
}

/// Where the console's operators stand, each by a name that is theirs.
const OPERATORS: &str = "console.operators.";
/// Where tables stand that operators name themselves.
const PROVIDERS: &str = "sms.providers.";
const TEST_NUMBERS: &str = "test_numbers.";
/// What is in a provider's table as a table with keys of its own.
const OWN_KEYS: [&str; 2] = ["templates", "prices"];

/// The names of all settings; those of an operator's own table are given for one called `NAME`.
fn known_names(defaults: &Settings) -> Result<BTreeSet<String>> {
    let mut sample = defaults.clone();
    let one = SmsProvider { templates: [("bind".to_owned(), [].into())].into(), ..SmsProvider::default() };
    sample.sms.providers.insert("NAME".to_owned(), one);
    sample.test_numbers.insert("NAME".to_owned(), TestNumber::default());
    let mut known = names(&toml::Table::try_from(&sample)?);
    // Purposes, languages and calling codes are looked at by name later on.
    known.extend(OWN_KEYS.map(|key| format!("{PROVIDERS}NAME.{key}")));
    Ok(known)
}

fn is_known(name: &str, known: &BTreeSet<String>) -> bool {
    if name.strip_prefix(OPERATORS).is_some_and(|operator| !operator.contains('.')) {
        return true;
    }
    if let Some((_, key)) = name.strip_prefix(TEST_NUMBERS).and_then(|rest| rest.split_once('.')) {
        return known.contains(&format!("{TEST_NUMBERS}NAME.{key}"));
    }
    let Some((_, key)) = name.strip_prefix(PROVIDERS).and_then(|rest| rest.split_once('.')) else {
        return known.contains(name);
    };
    let key = key.split_once('.').map_or(key, |(table, _)| if OWN_KEYS.contains(&table) { table } else { key });
    known.contains(&format!("{PROVIDERS}NAME.{key}"))
}

fn suggestion(unknown: &str, known: &BTreeSet<String>) -> String {
    let nearest = known
        .iter()
        .max_by(|left, right| strsim::jaro_winkler(unknown, left).total_cmp(&strsim::jaro_winkler(unknown, right)));
    nearest.map(|nearest| format!("; did you mean '{nearest}'?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use config::Environment;

    use super::{Overrides, load_from, names};
    use crate::settings::{LimitMode, ProofSetting, Settings};

    fn with_environment(variables: &[(&str, &str)]) -> anyhow::Result<Settings> {
        let variables: HashMap<String, String> =
            variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let environment = Environment::with_prefix("MOBILE_BIND").prefix_separator("__").separator("__");
        load_from(&no_file(""), environment.source(Some(variables)))
    }

    fn no_file(text: &str) -> Overrides {
        let folder = tempfile::tempdir().unwrap().keep();
        let config = folder.join("test.toml");
        std::fs::write(&config, text).unwrap();
        Overrides { config: Some(config), ..Overrides::default() }
    }

    fn with_file(text: &str) -> anyhow::Result<Settings> {
        load_from(&no_file(text), Environment::with_prefix("MOBILE_BIND_TEST_OF_NOTHING"))
    }

    #[test]
    fn nothing_given_is_the_defaults() {
        assert_eq!(with_file("").unwrap(), Settings::default());
    }

    #[test]
    fn the_example_holds_every_key_with_its_default() {
        let example = include_str!("../../../../mobile-bind.example.toml");
        let settings = with_file(example).unwrap();
        assert!(settings.given.contains("code.lifetime_s"));
        assert_eq!(Settings { given: Default::default(), ..settings }, Settings::default());
        let written: toml::Table = example.parse().unwrap();
        let defaults = toml::Table::try_from(Settings::default()).unwrap();
        assert_eq!(names(&written), names(&defaults));
    }

    #[test]
    fn the_environment_is_over_the_file_and_knows_lists() {
        let settings = with_environment(&[
            ("MOBILE_BIND__PLATFORM_PROOF", "trust"),
            ("MOBILE_BIND__LIMITS__MODE", "off"),
            ("MOBILE_BIND__LIMITS__SENDS", "9/1m, 8/1h"),
            ("MOBILE_BIND__CODE__LENGTH", "6"),
            ("MOBILE_BIND__REGISTER__FORBIDDEN_MOBILES", "13800138000,13800138001"),
            ("MOBILE_BIND__PLATFORMS__ALIPAY_APP_ID", "0021"),
        ])
        .unwrap();
        assert_eq!(settings.platform_proof, ProofSetting::Trust);
        assert_eq!((settings.limits.mode, settings.limits.sends.len()), (LimitMode::Off, 2));
        assert_eq!((settings.code.length, settings.register.forbidden_mobiles.len()), (6, 2));
        assert_eq!(settings.platforms.alipay_app_id, "0021");
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let error = with_file("[code]\nlenght = 6").unwrap_err().to_string();
        assert_eq!(error, "unknown setting 'code.lenght'; did you mean 'code.length'?");
        let error = with_environment(&[("MOBILE_BIND__LISTNE", "x")]).unwrap_err().to_string();
        assert_eq!(error, "unknown setting 'listne'; did you mean 'listen'?");
    }

    #[test]
    fn test_numbers_are_named_by_their_operator_and_their_codes_are_not_shown() {
        let text = "[test_numbers.review]\nmobile = \"13000000000\"\ncode = \"824613\"\nuntil = \"2026-12-31\"";
        let settings = with_file(text).unwrap();
        assert_eq!(settings.test_numbers["review"].code.0.expose(), "824613");
        assert!(!toml::to_string(&settings).unwrap().contains("824613"));
        let error = with_file("[test_numbers.review]\nmobil = \"1\"").unwrap_err().to_string();
        assert!(error.contains("did you mean 'test_numbers.NAME.mobile'?"), "{error}");
    }

    #[test]
    fn the_consoles_operators_have_names_of_their_own() {
        let settings = with_file("[console.operators]\nalice = \"sha256:00\"").unwrap();
        assert_eq!(settings.console.operators["alice"], "sha256:00");
        let settings = with_environment(&[("MOBILE_BIND__CONSOLE__OPERATORS__BOB", "sha256:01")]).unwrap();
        assert_eq!(settings.console.operators["bob"], "sha256:01");
        assert!(with_file("[console.operators.alice]\nhash = \"sha256:00\"").is_err());
    }

    #[test]
    fn providers_are_named_by_their_operator_and_their_keys_are_not() {
        let text = "[sms.providers.main]\nkind = \"aliyun\"\nrate = [\"9/1s\"]\ntemplates.bind.zh = \"SMS_1\"";
        let main = with_file(text).unwrap().sms.providers.remove("main").unwrap();
        assert_eq!(
            (main.kind.as_str(), main.templates["bind"]["zh"].as_str(), main.rate.len()),
            ("aliyun", "SMS_1", 1)
        );
        let error = with_file("[sms.providers.main]\nacount = \"x\"").unwrap_err().to_string();
        assert!(error.contains("'sms.providers.main.acount'; did you mean 'sms.providers.NAME.account'?"), "{error}");
        let settings = with_environment(&[("MOBILE_BIND__SMS__PROVIDERS__MAIN__SECRET", "s3cret")]).unwrap();
        assert_eq!(settings.sms.providers["main"].secret.0.expose(), "s3cret");
        let printed = toml::to_string(&settings).unwrap();
        assert!(printed.contains("secret = \"***\"") && !printed.contains("s3cret"), "{printed}");
    }

    /// What is commented out as `#key = …` in the example is meant to be used.
    #[test]
    fn the_examples_providers_can_be_used() {
        let example = include_str!("../../../../mobile-bind.example.toml");
        let meant = |line: &str| match line.strip_prefix('#') {
            Some(meant) if !meant.starts_with([' ', '#']) => format!("{meant}\n"),
            _ => format!("{line}\n"),
        };
        let text: String = example.lines().map(meant).collect();
        let mut settings = with_file(&text).unwrap();
        for provider in settings.sms.providers.values_mut() {
            if !provider.secret_file.as_os_str().is_empty() {
                provider.secret_file = std::path::PathBuf::new();
                let secret = if provider.kind == "smpp" { "secret" } else { "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" };
                provider.secret = secret.to_owned().into();
            }
        }
        let kinds: Vec<_> = settings.sms_providers().unwrap().iter().map(|(_, config)| config.kind).collect();
        assert_eq!(kinds.len(), settings.sms.providers.len());
        let written = toml::Table::try_from(&settings).unwrap();
        let prose = |key: &String| example.contains(&format!("#{key} ")) || example.contains(&format!("# {key}: "));
        let keys =
            written["sms"]["providers"].as_table().unwrap().values().flat_map(|one| one.as_table().unwrap().keys());
        for key in keys {
            assert!(prose(key), "the example does not say what sms.providers.NAME.{key} means");
        }
    }

    #[test]
    fn a_value_of_the_wrong_kind_names_its_key() {
        let error = format!("{:#}", with_file("[code]\nlength = \"four\"").unwrap_err());
        assert!(error.contains("code.length"), "{error}");
    }
}
