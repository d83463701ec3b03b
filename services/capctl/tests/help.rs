//! Every command says what it is for, and what is missing is told all at once.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up stops there")]

mod support;

use support::Tool;

#[tokio::test]
async fn every_command_has_a_purpose() {
    let purposes = [
        ("migrate", "Bring the databases and DynamoDB tables up to date"),
        ("queue", "Create and list queues"),
        ("queue create", "Create the queues of scopes, with their dead-letter queues"),
        ("queue list", "List the queues of the installation"),
        ("config", "Push and show the configuration"),
        (
            "config push",
            "Check a folder of configuration files as a whole and make it the next revision",
        ),
        ("config show", "Show a revision of the configuration"),
        ("publish", "Publish envelopes, one JSON a line, in the order of every account"),
        ("job", "Zeroing and corporate actions: files that become ordinary adjustments"),
        ("job adjust", "Post the adjustments of a file, one a line"),
        (
            "job zero",
            "Bring balances of a list of accounts to zero: what they owe, or what they have",
        ),
        ("job action", "Post a corporate action: of each holding, a ratio of it in a currency"),
        ("lanes", "List lanes"),
        ("lane show", "Show where an account's lane stands in every stage"),
        ("parked", "List, show and skip parked messages"),
        ("parked list", "List an account's parked messages"),
        ("parked show", "Show one parked message: envelope, error and times"),
        ("parked skip", "Give up the parked message that is next: it is never applied"),
        ("redrive", "Give a suspended lane its parked messages back, in order, until it opens"),
        ("repair", "Post an adjustment to an account, also while it is suspended"),
        ("audit", "Show who changed what, when and why, the latest first"),
        ("verify", "Prove by replay that everything stored is what the rules make of what came in"),
        ("trial-balance", "Add up all money per company and currency, which must come to zero"),
        ("cost", "Estimate what a rate of events costs on AWS, at list prices"),
        ("trace", "Tell the story of one request, from event to outcome"),
    ];
    for (command, purpose) in purposes {
        let help = Tool::default().text(&format!("{command} --help")).await;
        assert!(help.starts_with(purpose), "{command}: {help}");
        for global in ["--json", "--operator <NAME>"] {
            assert!(help.contains(global), "{command} has no {global}: {help}");
        }
    }
    let all = Tool::default().text("--help").await;
    for (command, _) in purposes {
        let name = command.split(' ').next().unwrap();
        assert!(all.lines().any(|line| line.trim_start().starts_with(name)), "{name}: {all}");
    }
    for variable in
        ["CLEARING_DATABASE_URL", "QUERY_DATABASE_URL", "CAP_PREFIX", "AWS_*", "Exit codes"]
    {
        assert!(all.contains(variable), "{variable}: {all}");
    }
}

#[tokio::test]
async fn missing_settings_are_reported_together_with_purpose_and_example() {
    let databases = [
        "\n  CLEARING_DATABASE_URL is not set: the PostgreSQL database of clearing; e.g. postgres://",
        "\n  POSITION_DATABASE_URL is not set: the PostgreSQL database of position; e.g. postgres://",
        "\n  ACCOUNT_DATABASE_URL is not set: the PostgreSQL database of account; e.g. postgres://",
    ];
    for command in [
        "migrate",
        "lanes",
        "lane show A-1",
        "parked list A-1",
        "verify",
        "trace r-1 --account A-1",
        "redrive A-1",
        "repair A-1 --currency USDT --amount 1 --reason r",
        "audit",
    ] {
        let told = Tool::default().refused(command, 1).await;
        assert!(told.starts_with("capctl: reading the settings from the environment:"), "{told}");
        for setting in databases {
            assert!(told.contains(setting), "{command}: {setting}: {told}");
        }
        assert!(!told.contains("QUERY_DATABASE_URL"), "it may be left out: {told}");
    }
}

#[tokio::test]
async fn a_command_needs_only_its_own_settings() {
    for command in [
        "trial-balance",
        "lanes --stage account",
        "parked show A-1 1 --stage account",
        "parked skip A-1 1 --stage account --reason r",
        "redrive A-1 --stage account",
    ] {
        let told = Tool::default().refused(command, 1).await;
        assert!(told.contains("ACCOUNT_DATABASE_URL is not set"), "{command}: {told}");
        assert!(!told.contains("CLEARING_DATABASE_URL"), "{command}: {told}");
    }
    // What changes something outside of any lane is written down in clearing's database.
    for command in
        ["queue create acme", "config push config", "publish -", "job adjust file.csv --job j-1"]
    {
        let told = Tool::default().refused(command, 1).await;
        assert!(told.contains("CLEARING_DATABASE_URL is not set"), "{command}: {told}");
        assert!(!told.contains("ACCOUNT_DATABASE_URL"), "{command}: {told}");
    }
    let url = ("ACCOUNT_DATABASE_URL".to_owned(), "not a url with a secret".to_owned());
    let told = Tool { environment: vec![url] }.refused("trial-balance", 1).await;
    assert!(told.contains("reading the database url"), "{told}");
    assert!(!told.contains("secret"), "{told}");
}

#[tokio::test]
async fn a_database_that_is_away_is_one_clear_sentence() {
    let url = "postgres://cap:hidden@127.0.0.1:9/cap_account".to_owned();
    let tool = Tool { environment: vec![("ACCOUNT_DATABASE_URL".to_owned(), url)] };
    let told = tool.refused("trial-balance", 1).await;
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.starts_with("capctl: taking a snapshot of the database: "), "{told}");
    assert!(told.ends_with("check that the database runs and that its URL is right\n"), "{told}");
    assert!(!told.contains("hidden"), "{told}");
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_before_anything_is_asked() {
    let cases = [
        ("queue create a/b/c/d", "is not company, company_product or company_product_group"),
        (
            "lanes --status broken",
            "\"broken\" is not a lane status: active, suspended or redriving",
        ),
        ("lanes --stage payment", "\"payment\" is not a stage: clearing, position or account"),
        ("lane show a/b", "account \"a_b\" is not company_product_group_account"),
        ("config show --revision 0", "0 is not in 1.."),
        ("parked skip A-1 1", "--reason <REASON>"),
        ("repair A-1 --currency usdt --amount 1 --reason r", "currency \"usdt\" is not 2 to 12"),
        ("cost --events-per-second 0", "0 is not in 1..=20000"),
        ("cost --events-per-second 10 --product cfd", "possible values: spot, perpetual"),
        ("redrive A-1 --canary --through 3", "'--canary' cannot be used with '--through"),
    ];
    for (command, reason) in cases {
        let told = Tool::default().refused(command, 1).await;
        assert!(told.contains(reason), "{command}: {told}");
    }
}
