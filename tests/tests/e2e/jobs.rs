//! Zeroing and corporate actions: files that become ordinary adjustments (C15).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use cap_tests::{World, envelope};
use serde_json::{Value, json};

use crate::events::{balance, deposit, opened};
use crate::tools::{capctl, verified};

const ACCOUNTS: usize = 6;
const HEADER: &str =
    "company,product,customer_group,account,currency,amount,reason,shortfall,entry";

fn account(number: usize) -> String {
    format!("acme/spot/retail/J-{number}")
}

/// An installation with six accounts of 100 USDT each.
async fn with_accounts(world: &World) {
    for number in 1..=ACCOUNTS {
        let key = account(number);
        world.upstream.publish(&envelope(&key, &format!("open-{number}"), opened())).await;
        let fund = envelope(&key, &format!("fund-{number}"), deposit("USDT", "100"));
        world.upstream.publish(&fund).await;
    }
    let outcomes = world.upstream.outcomes("acme_spot", 2 * ACCOUNTS).await;
    assert!(outcomes.iter().all(|outcome| outcome["outcome"]["status"] == "posted"));
}

/// Thirty adjustments: five for each of six accounts; one takes what is not there and is refused,
/// one takes it all the same.
fn thirty_lines(amount_of_the_first: &str) -> String {
    let mut text = format!("{HEADER}\n");
    for number in 1..=ACCOUNTS {
        let first = if number == 1 { amount_of_the_first } else { "10" };
        let _ =
            writeln!(text, "acme,spot,retail,J-{number},USDT,{first},\"dividend, first half\",,a");
        let _ = writeln!(text, "acme,spot,retail,J-{number},USDT,0.000001,dividend,,b");
        let _ = writeln!(text, "acme,spot,retail,J-{number},USDT,-5.5,tax,,c");
        let _ = writeln!(text, "acme,spot,retail,J-{number},USD,1.25,dividend,,");
        let (amount, shortfall) = match number {
            1 => ("-7.00", "reject"),
            2 => ("-7.00", "force"),
            _ => ("3", ""),
        };
        let _ = writeln!(text, "acme,spot,retail,J-{number},HKD,{amount},stamp duty,{shortfall},");
    }
    text
}

struct Desk<'a> {
    world: &'a World,
    folder: tempfile::TempDir,
}

impl Desk<'_> {
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs `capctl job` and gives its exit code and answer.
    async fn job(&self, kind: &str, file: &Path, words: &str) -> (i32, Value) {
        let mut line = vec!["job", kind, file.to_str().unwrap(), "--json"];
        line.extend(words.split_whitespace());
        let ended = capctl(self.world, &line).await;
        let answer = serde_json::from_slice(&ended.stdout);
        (ended.status.code().unwrap(), answer.unwrap_or_else(|_| panic!("{ended:?}")))
    }

    /// What the accounts hold of a currency, as [available, borrowed], in the order of their names.
    async fn balances(&self, currency: &str) -> Vec<[String; 2]> {
        let database = self.world.database(cap_domain::lane::StageName::Account);
        let balances =
            "select round(available, decimals)::text, round(borrowed, decimals)::text from balance
            where account_id like 'acme_spot_retail_J-%' and currency = $1 order by account_id";
        let rows: Vec<(String, String)> =
            sqlx::query_as(balances).bind(currency).fetch_all(&database).await.unwrap();
        rows.into_iter().map(|(available, borrowed)| [available, borrowed]).collect()
    }

    async fn audit(&self) -> Vec<Value> {
        let audit = capctl(self.world, &["audit", "--json"]).await;
        let audit: Value = serde_json::from_slice(&audit.stdout).unwrap();
        audit["entries"].as_array().unwrap().clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_adjustments_is_posted_once_however_often_it_is_run() {
    let (world, stages) = World::running().await;
    with_accounts(&world).await;
    let desk = Desk { world: &world, folder: tempfile::tempdir().unwrap() };
    let file = desk.file("dividend.csv", &thirty_lines("10"));

    // When it is rehearsed, nothing is sent
    let (code, rehearsed) = desk.job("adjust", &file, "--job div-1 --dry-run").await;
    assert_eq!(
        (code, &rehearsed["adjustments"], &rehearsed["published"]),
        (0, &json!(30), &json!(0))
    );
    assert_eq!(rehearsed["events"].as_array().unwrap().len(), 30);
    let usdt = json!({
        "currency": "USDT", "adjustments": 18,
        "given": "60.000006", "taken": "33.000000", "net": "27.000006",
    });
    assert!(rehearsed["totals"].as_array().unwrap().contains(&usdt), "{rehearsed:#}");

    // Nor is it without a yes
    let unasked =
        capctl(&world, &["job", "adjust", file.to_str().unwrap(), "--job", "div-1"]).await;
    let told = String::from_utf8_lossy(&unasked.stderr).into_owned();
    assert!(!unasked.status.success() && told.contains("nobody can be asked here"), "{told}");
    world.upstream.no_outcome("acme_spot").await;

    // When it is run, and ends in the middle
    let text = thirty_lines("10");
    let ten: String = text.lines().take(11).map(|line| format!("{line}\n")).collect();
    let half = desk.file("half.csv", &ten);
    let (_, begun) = desk.job("adjust", &half, "--job div-1 --yes --wait").await;
    assert_eq!((&begun["outcomes"]["posted"], &begun["published"]), (&json!(9), &json!(10)));

    // And is run as a whole, all but the one that may not fall short are posted
    let (code, run) = desk.job("adjust", &file, "--job div-1 --yes --wait").await;
    let outcomes = &run["outcomes"];
    assert_eq!((code, &run["published"]), (1, &json!(30)), "{run:#}");
    assert_eq!((&outcomes["posted"], &outcomes["refused"]), (&json!(29), &json!(1)), "{run:#}");
    assert_eq!(outcomes["posted_before"], 9, "{run:#}");
    let refusal = &outcomes["refusals"][0];
    assert_eq!(
        (&refusal["line"], &refusal["account"]),
        (&json!(6), &json!("acme_spot_retail_J-1"))
    );
    assert_eq!(refusal["reason"]["code"], "insufficient_funds");
    let detail = "needs 7.00 HKD, has 0.00 available, credit left 0.00";
    assert_eq!(refusal["reason"]["detail"], detail);
    let usdt = desk.balances("USDT").await;
    assert_eq!(usdt, vec![["104.500001".to_owned(), "0.000000".to_owned()]; ACCOUNTS]);
    let hkd = desk.balances("HKD").await;
    assert_eq!(hkd[0], ["0.00", "7.00"], "who is forced owes it; who is refused has no balance");
    assert_eq!(hkd.len(), ACCOUNTS - 1);
    let outcomes = world.upstream.outcomes("acme_spot", 30).await;
    assert!(outcomes.iter().all(|outcome| outcome["outcome"].get("replayed").is_none()));

    // When it is run again, in another order, by somebody else, the books are the same
    let mut lines: Vec<String> = thirty_lines("10").lines().skip(1).map(str::to_owned).collect();
    lines.reverse();
    let again = desk.file("again.csv", &format!("{HEADER}\n{}\n", lines.join("\n")));
    let (code, second) =
        desk.job("adjust", &again, "--job div-1 --yes --wait --operator bob").await;
    let outcomes = &second["outcomes"];
    assert_eq!(
        (code, &outcomes["posted"], &outcomes["posted_before"]),
        (1, &json!(29), &json!(29))
    );
    assert_eq!((desk.balances("USDT").await, desk.balances("HKD").await), (usdt.clone(), hkd));

    // And a line that says something else now is told, and changes nothing
    let other = desk.file("other.csv", &thirty_lines("11"));
    let (code, third) = desk.job("adjust", &other, "--job div-1 --yes --wait").await;
    assert_eq!((code, &third["outcomes"]["refused"]), (1, &json!(2)), "{third:#}");
    let conflict = &third["outcomes"]["refusals"][0];
    assert_eq!(
        (&conflict["line"], &conflict["reason"]["code"]),
        (&json!(2), &json!("request_id_conflict"))
    );
    assert_eq!(desk.balances("USDT").await, usdt);

    // And the audit log has who ran what, and every run's begin and end
    let entries = desk.audit().await;
    let of_job = |entry: &&Value| entry["command"].as_str().unwrap().starts_with("job adjust ");
    let entries: Vec<&Value> = entries.iter().filter(of_job).collect();
    assert_eq!(entries.len(), 8, "{entries:#?}");
    assert_eq!(entries[5]["result"], "begun: 30 adjustments");
    assert_eq!(entries[4]["result"], "30 sent, 0 not sent; 29 posted, 1 refused, 0 undecided");
    assert_eq!((&entries[4]["operator"], &entries[2]["operator"]), (&json!("e2e"), &json!("bob")));
    world.quiet().await;
    stages.stop().await;
    verified(&world, 2 * (12 + 30)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_a_wrong_line_is_told_line_by_line_and_nothing_is_sent() {
    let (world, stages) = World::running().await;
    with_accounts(&world).await;
    let desk = Desk { world: &world, folder: tempfile::tempdir().unwrap() };
    let text = [
        "company,product,customer_group,account,currency,amount,reason,shortfall",
        "acme,spot,retail,J-1,USDT,5,good,",
        "ACME,spot,retail,J-1,USDT,5,r,",
        "acme,spot,retail,J-2,USDT,1.0000001,r,",
        "acme,spot,retail,J-2,DOGE,5,r,",
        "acme,options,retail,J-2,USDT,5,r,",
        "acme,spot,retail,J-3,USDT,0,r,",
        "acme,spot,retail,J-3,USD,5,r,borrow",
        "acme,spot,retail,J-1,USDT,6,r,",
        "nobody,spot,retail,J-4,USDT,5,r,",
        "acme,spot,retail,J-4,USDT,5",
        "acme,spot,retail,J-5,USDT,5,,",
    ];
    let file = desk.file("wrong.csv", &text.join("\n"));

    let (code, report) = desk.job("adjust", &file, "--job wrong --yes --wait").await;

    assert_eq!(
        (code, &report["published"], &report["bad"]),
        (1, &json!(0), &json!(10)),
        "{report:#}"
    );
    let told: Vec<String> = report["bad_lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bad| {
            format!(
                "{} {}: {}",
                bad["line"],
                bad["field"].as_str().unwrap(),
                bad["reason"].as_str().unwrap()
            )
        })
        .collect();
    let expected = [
        "3 company: company \"ACME\" is not 1 to 16 characters of [a-z0-9-]",
        "4 amount: 1.0000001 has 7 decimals, USDT has 6",
        "5 currency: there is no currency DOGE",
        "6 product: there is no product options",
        "7 amount: an adjustment of nothing",
        "8 shortfall: \"borrow\" is neither reject nor force",
        "9 account: acme_spot_retail_J-1 has USDT on line 2 already",
        "10 company: no queue of clearing takes messages of nobody_spot_retail_J-4",
        "11 line: has 6 fields, the header has 8 columns",
        "12 reason: ",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}");
    }
    world.upstream.no_outcome("acme_spot").await;
    assert!(
        desk.audit()
            .await
            .iter()
            .all(|entry| !entry["command"].as_str().unwrap().starts_with("job "))
    );
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_zeroed_and_a_dividend_is_rounded_half_even() {
    let (world, stages) = World::running().await;
    with_accounts(&world).await;
    let desk = Desk { world: &world, folder: tempfile::tempdir().unwrap() };
    let all = "company,product,customer_group,account,currency";
    let accounts = |more: &dyn Fn(usize) -> String| {
        (1..=ACCOUNTS).map(|n| format!("\nacme,spot,retail,J-{n},{}", more(n))).collect::<String>()
    };

    // Given what two accounts owe
    let forced = "\nacme,spot,retail,J-1,HKD,-7,fee,force\nacme,spot,retail,J-2,HKD,-0.5,fee,force";
    let file = desk.file("forced.csv", &format!("{all},amount,reason,shortfall{forced}"));
    assert_eq!(desk.job("adjust", &file, "--job forced --yes --wait").await.0, 0);

    // When it is zeroed, the house gives it, and those who owe nothing come to nothing
    let file = desk.file("zero.csv", &format!("{all}{}", accounts(&|_| "HKD".to_owned())));
    let zero = "--job zero-1 --of borrowed --reason goodwill --yes --wait";
    let (code, zeroed) = desk.job("zero", &file, zero).await;
    assert_eq!(
        (code, &zeroed["published"], &zeroed["nothing"]),
        (0, &json!(2), &json!(4)),
        "{zeroed:#}"
    );
    assert_eq!(zeroed["totals"][0]["given"], "7.50");
    let nothing = ["0.00".to_owned(), "0.00".to_owned()];
    assert_eq!(desk.balances("HKD").await, [nothing.clone(), nothing]);
    let (code, again) = desk.job("zero", &file, zero).await;
    assert_eq!((code, &again["published"], &again["nothing"]), (0, &json!(0), &json!(6)));

    // When a dividend of 0.125 USD a piece is paid, halves go to the even cent
    let holdings = ["1", "3", "100", "0.01", "-2", "0.12"];
    let lines = accounts(&|n| format!("USD,{}", holdings[n - 1]));
    let file = desk.file("dividend.csv", &format!("{all},holding{lines}"));
    let (_, paid) =
        desk.job("action", &file, "--job q3 --ratio 0.125 --reason dividend --yes --wait").await;
    assert_eq!((&paid["published"], &paid["nothing"]), (&json!(5), &json!(1)), "{paid:#}");
    let outcomes = &paid["outcomes"];
    assert_eq!((&outcomes["posted"], &outcomes["refused"]), (&json!(4), &json!(1)), "{paid:#}");
    assert_eq!(outcomes["refusals"][0]["account"], "acme_spot_retail_J-5", "who is short pays");
    let usd: Vec<String> = desk.balances("USD").await.into_iter().map(|[has, _]| has).collect();
    assert_eq!(usd, ["0.12", "0.38", "12.50", "0.02"]);

    // When what is left is taken, nothing is
    let file = desk.file("take.csv", &format!("{all}{}", accounts(&|_| "USDT".to_owned())));
    let taken =
        desk.job("zero", &file, "--job close --of available --reason dust --yes --wait").await;
    assert_eq!((taken.0, &taken.1["totals"][0]["taken"]), (0, &json!("600.000000")), "{taken:#?}");
    let usdt = desk.balances("USDT").await;
    assert!(usdt.iter().all(|[available, _]| available == "0.000000"), "{usdt:?}");

    // And an account that was never opened is a wrong line
    let file = desk.file("who.csv", &format!("{all}\nacme,spot,retail,J-99,USDT"));
    let (code, wrong) = desk.job("zero", &file, "--job who --of borrowed --reason r --yes").await;
    assert_eq!(
        (code, &wrong["bad_lines"][0]["reason"]),
        (1, &json!("acme_spot_retail_J-99 was never opened"))
    );
    stages.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_other_subjects_are_drawn_from_first_what_is_owed_is_zeroed_and_available_is_not() {
    // Given an account with a bonus and cash, and nothing available
    let (world, stages) = World::running().await;
    let account = "zenith/cfd/retail/C-1";
    world.upstream.publish(&envelope(account, "open", opened())).await;
    world.upstream.publish(&envelope(account, "fund", deposit("USD", "100"))).await;
    world.upstream.outcomes("zenith", 2).await;
    let desk = Desk { world: &world, folder: tempfile::tempdir().unwrap() };
    let columns = "company,product,customer_group,account,currency";
    let line = "zenith,cfd,retail,C-1,USD";
    let file = desk.file("zero.csv", &format!("{columns}\n{line}"));

    // When what is available is to be taken, the line is wrong and nothing is sent
    let zero = "--job close --of available --reason dust --yes --wait";
    let (code, refused) = desk.job("zero", &file, zero).await;
    assert_eq!((code, &refused["published"]), (1, &json!(0)), "{refused:#}");
    let bad = json!([{
        "line": 2, "field": "product",
        "reason": "cfd draws what is taken from bonus, then cash, then available, so available alone cannot be brought to zero: state the amount with `capctl job adjust`",
    }]);
    assert_eq!(refused["bad_lines"], bad);
    world.upstream.no_outcome("zenith").await;

    // When more is taken than there is, it is owed
    let text = format!("{columns},amount,reason,shortfall\n{line},-107,fee,force");
    let forced = desk.file("forced.csv", &text);
    assert_eq!(desk.job("adjust", &forced, "--job forced --yes --wait").await.0, 0);
    let outcome = world.upstream.outcome("zenith").await;
    assert_eq!(balance(&outcome, "USD")["borrowed"], "7.00", "{outcome:#}");

    // Then what is owed is brought to zero: it is given to cash, and repays first
    let zero = "--job goodwill --of borrowed --reason goodwill --yes --wait";
    let (code, zeroed) = desk.job("zero", &file, zero).await;
    assert_eq!((code, &zeroed["totals"][0]["given"]), (0, &json!("7.00")), "{zeroed:#}");
    let outcome = world.upstream.outcome("zenith").await;
    let usd = balance(&outcome, "USD");
    assert_eq!((&usd["borrowed"], &usd["cash"]), (&json!("0.00"), &json!("0.00")), "{outcome:#}");
    world.quiet().await;
    stages.stop().await;
    verified(&world, 3 * 4).await;
}
