//! Names and sentences of the invented customers, in Japanese and English.

use super::random::Random;

/// The language a customer writes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tongue {
    Japanese,
    English,
}

/// How a customer speaks of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Pleased,
    Critical,
}

/// (in ids, in names): no company of these names is meant.
const ROOTS_JA: [(&str, &str); 24] = [
    ("sakura", "さくら"),
    ("aozora", "あおぞら"),
    ("hinata", "ひなた"),
    ("minato", "みなと"),
    ("komorebi", "こもれび"),
    ("momiji", "もみじ"),
    ("suzuran", "すずらん"),
    ("hoshizora", "ほしぞら"),
    ("yamabuki", "やまぶき"),
    ("tsubaki", "つばき"),
    ("akatsuki", "あかつき"),
    ("shirakaba", "しらかば"),
    ("wakaba", "わかば"),
    ("nagisa", "なぎさ"),
    ("kawasemi", "かわせみ"),
    ("tanpopo", "たんぽぽ"),
    ("mikazuki", "みかづき"),
    ("hamanasu", "はまなす"),
    ("asagao", "あさがお"),
    ("yukiguni", "ゆきぐに"),
    ("satoyama", "さとやま"),
    ("kinmokusei", "きんもくせい"),
    ("umikaze", "うみかぜ"),
    ("hidamari", "ひだまり"),
];
const KINDS_JA: [(&str, &str, &str); 10] = [
    ("shoten", "商店", "retail"),
    ("kogyo", "工業", "manufacturing"),
    ("fudosan", "不動産", "real_estate"),
    ("butsuryu", "物流", "logistics"),
    ("shokuhin", "食品", "food"),
    ("kaikei", "会計事務所", "accounting"),
    ("medical", "メディカル", "healthcare"),
    ("kensetsu", "建設", "construction"),
    ("insatsu", "印刷", "printing"),
    ("systems", "システムズ", "software"),
];
const ROOTS_EN: [&str; 24] = [
    "Alder", "Birch", "Cedar", "Harbour", "Juniper", "Larkspur", "Meadow", "Quarry", "Willow", "Summit", "Bramble",
    "Copper", "Drift", "Ember", "Fennel", "Granite", "Heron", "Indigo", "Kestrel", "Lantern", "Marrow", "Nettle",
    "Orchard", "Pebble",
];
const KINDS_EN: [(&str, &str); 10] = [
    ("Foods", "food"),
    ("Logistics", "logistics"),
    ("Dental", "healthcare"),
    ("Realty", "real_estate"),
    ("Software", "software"),
    ("Outfitters", "retail"),
    ("Print", "printing"),
    ("Builders", "construction"),
    ("Works", "manufacturing"),
    ("Advisory", "accounting"),
];

const FAMILY_JA: [&str; 12] =
    ["佐藤", "鈴木", "高橋", "田中", "伊藤", "渡辺", "山本", "中村", "小林", "加藤", "吉田", "山田"];
const GIVEN_JA: [&str; 12] = ["陽菜", "蓮", "結衣", "湊", "葵", "樹", "凛", "大和", "紬", "悠真", "咲良", "朝陽"];
const FAMILY_EN: [&str; 12] = [
    "Archer", "Baker", "Carver", "Dyer", "Fisher", "Gardner", "Hunter", "Mason", "Porter", "Sawyer", "Tanner", "Weaver",
];
const GIVEN_EN: [&str; 12] =
    ["Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gwen", "Hugo", "Iris", "Jack", "Kira", "Liam"];

const PLEASED_JA: [&str; 8] = [
    "日報がすぐ書けるようになり、会議の時間が半分になりました。とても助かっています。",
    "カレンダーの共有が便利で、部署間の調整が楽になりました。",
    "サポートの返信が早く、導入してよかったと社内でも評判です。",
    "モバイルアプリのおかげで、外出先からも申請を承認できます。",
    "もくもく会で教わった集計のやり方を、翌日から全員で使っています。",
    "検索が賢くなりましたね。過去の議事録がすぐ見つかります。",
    "新しいレポート画面、経営会議でそのまま使えて好評でした。",
    "掲示板の閲覧状況が見えるので、周知の漏れがなくなりました。",
];
const CRITICAL_JA: [&str; 8] = [
    "カレンダーの同期が一日に何度も外れます。会議に遅れる人が出ています。",
    "ページの表示が遅く、朝の時間帯は特に待たされます。",
    "CSVの書き出しに項目が足りず、毎月手作業で直しています。",
    "権限の設定が細かくできず、部外に見せたくない案件が見えてしまいます。",
    "担当者が異動してから、ほとんど使われなくなってしまいました。",
    "料金に見合う効果を上司に説明できず、困っています。",
    "スマートフォンの通知が届かないことがあり、承認が止まります。",
    "操作が難しく、現場の人には使ってもらえていません。",
];
const PLEASED_EN: [&str; 8] = [
    "Daily reports take five minutes now. The whole team writes them.",
    "Sharing calendars across departments just works. Scheduling is no longer a job of its own.",
    "Support answered within the hour, twice this week. Thank you.",
    "Approving requests from my phone saves me an evening every week.",
    "We used what we learned in the co-working session the very next day.",
    "Search finds old minutes at once. That used to take us half an hour.",
    "The new report page went straight into our board meeting.",
    "Seeing who has read a notice ended a lot of chasing.",
];
const CRITICAL_EN: [&str; 8] = [
    "Calendar sync drops several times a day. People miss meetings because of it.",
    "Pages are slow, above all in the morning.",
    "The CSV export lacks columns we need, so we mend it by hand every month.",
    "Permissions are too coarse: other departments can see deals they should not.",
    "Since our champion left, hardly anybody opens it.",
    "I cannot show my manager what we get for the price.",
    "Notifications on the phone come late or never, and approvals wait.",
    "It is too hard for the people on the shop floor; they went back to paper.",
];
const TICKETS_JA: [(&str, &str); 6] = [
    ("カレンダー同期のエラー", "外部カレンダーとの同期がエラーで止まります。再接続しても翌日にまた止まります。"),
    ("CSV書き出しについて", "書き出しに担当者名を含める方法を教えてください。"),
    ("ログインできません", "パスワードを再設定しても、ログイン画面に戻ってしまいます。"),
    ("表示が遅い", "今朝から一覧の表示に三十秒ほどかかります。"),
    ("権限の設定", "部署ごとに閲覧の範囲を分けたいのですが、可能でしょうか。"),
    ("通知が届かない", "承認依頼の通知がスマートフォンに届きません。"),
];
const TICKETS_EN: [(&str, &str); 6] = [
    ("Calendar sync fails", "The sync with our calendar stops with an error. Reconnecting helps for a day."),
    ("CSV export", "How can the export include the name of the person in charge?"),
    ("Cannot log in", "After a password reset the login page just comes back."),
    ("Slow pages", "Since this morning lists take half a minute to open."),
    ("Permissions", "We want each department to see only its own boards. Can that be done?"),
    ("No notifications", "Requests for approval do not reach our phones."),
];
/// (reason, in Japanese, in English)
const FAREWELLS: [(&str, &str, &str); 5] = [
    (
        "low_use",
        "ほとんど使われなくなったため、更新を見送ります。",
        "Hardly anybody used it any more, so we will not renew.",
    ),
    ("price", "予算の見直しで、継続が難しくなりました。", "The budget was cut and this did not survive it."),
    (
        "champion_left",
        "推進していた担当者が退職し、引き継ぎができませんでした。",
        "The person who drove it left, and nobody took over.",
    ),
    (
        "missing_feature",
        "必要な権限の設定ができないため、他社に切り替えます。",
        "We need finer permissions and move to another product.",
    ),
    (
        "reorganised",
        "組織の統合で、親会社の製品に合わせることになりました。",
        "After the merger we use what the parent company uses.",
    ),
];

/// What a company is called: (in ids, its name, its line of business).
pub(super) fn company(place: u32) -> (String, String, &'static str, Tongue) {
    if place == 0 {
        return ("acme".to_owned(), "Acme".to_owned(), "manufacturing", Tongue::English);
    }
    // Three of five customers are Japanese.
    let (tongue, place) = match place % 5 {
        0..=2 => (Tongue::Japanese, place / 5 * 3 + place % 5),
        rest => (Tongue::English, place / 5 * 2 + rest - 3),
    };
    let place = place as usize;
    let (roots, kinds) = (ROOTS_JA.len(), KINDS_JA.len());
    // The roots go round, and each round meets the next kind.
    let (root, kind, round) = (place % roots, (place % roots + place / roots) % kinds, place / (roots * kinds));
    let again = if round > 0 { format!("-{}", round + 1) } else { String::new() };
    let branch = if round > 0 { format!(" {}", round + 1) } else { String::new() };
    match tongue {
        Tongue::Japanese => {
            let ((root_id, root), (kind_id, kind, business)) = (ROOTS_JA[root], KINDS_JA[kind]);
            (format!("{root_id}-{kind_id}{again}"), format!("{root}{kind}{branch}"), business, tongue)
        }
        Tongue::English => {
            let (root, (kind, business)) = (ROOTS_EN[root], KINDS_EN[kind]);
            let id = format!("{}-{}{again}", root.to_lowercase(), kind.to_lowercase());
            (id, format!("{root} {kind}{branch}"), business, tongue)
        }
    }
}

/// What a person is called.
pub(super) fn person(tongue: Tongue, random: &mut Random) -> String {
    match tongue {
        Tongue::Japanese => format!("{} {}", random.one(&FAMILY_JA), random.one(&GIVEN_JA)),
        Tongue::English => format!("{} {}", random.one(&GIVEN_EN), random.one(&FAMILY_EN)),
    }
}

/// What a customer says.
pub(super) fn feedback(tongue: Tongue, mood: Mood, random: &mut Random) -> &'static str {
    match (tongue, mood) {
        (Tongue::Japanese, Mood::Pleased) => random.one::<&'static str>(&PLEASED_JA),
        (Tongue::Japanese, Mood::Critical) => random.one::<&'static str>(&CRITICAL_JA),
        (Tongue::English, Mood::Pleased) => random.one::<&'static str>(&PLEASED_EN),
        (Tongue::English, Mood::Critical) => random.one::<&'static str>(&CRITICAL_EN),
    }
}

/// A ticket: subject and text.
pub(super) fn ticket(tongue: Tongue, random: &mut Random) -> (&'static str, &'static str) {
    match tongue {
        Tongue::Japanese => *random.one(&TICKETS_JA),
        Tongue::English => *random.one(&TICKETS_EN),
    }
}

/// Why a customer leaves: reason and words. The one whose champion left says so.
pub(super) fn farewell(tongue: Tongue, champion_left: bool, random: &mut Random) -> (&'static str, &'static str) {
    let (reason, japanese, english) = if champion_left { FAREWELLS[2] } else { *random.one(&FAREWELLS) };
    match tongue {
        Tongue::Japanese => (reason, japanese),
        Tongue::English => (reason, english),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_company_has_an_id_of_its_own_and_the_first_is_acme() {
        let ids: BTreeSet<String> = (0..3_000).map(|place| company(place).0).collect();
        assert_eq!(ids.len(), 3_000);
        assert_eq!(company(0).0, "acme");
        let japanese = (0..1_000).filter(|place| company(*place).3 == Tongue::Japanese).count();
        assert!((580..=620).contains(&japanese), "{japanese}");
    }
}
