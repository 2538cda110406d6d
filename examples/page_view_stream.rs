//! Five figures of a web site, from the stream of its page views: views per page,
//! those of the last 10 seconds, the rate of errors per zip code in the last 30
//! seconds, the users that were active in the last 15 seconds, and which users of
//! a list were seen.
//!
//! Without arguments it makes up its own page views, takes 100 ms for a second, and
//! runs for some seconds:
//!
//! ```text
//! cargo run --release --example page_view_stream
//! ```
//!
//! With a host and a port it reads page views from any text server until Ctrl-C: in
//! a line the URL, the HTTP status, the zip code and the id of the user, with tabs
//! between them.
//!
//! ```text
//! cargo run --release --example page_view_stream -- localhost 44444
//! ```

#![expect(clippy::print_stdout, reason = "a program talks to its user")]

mod common;

use std::io::{self, Write};
use std::net::TcpStream;

use common::Input;
use millstream::prelude::*;
use millstream::rdd::pipe::Pipe;

fn main() -> millstream::Result<()> {
    common::log_to_stderr();
    let second = Duration::from_millis(100);
    let input = Input::socket("page_view_stream", second, send_page_views)?;
    let seconds = |n: u32| n * input.second;

    let ssc = StreamingContext::builder()
        .app_name("PageViewStream")
        .batch_interval(seconds(1))
        .build()?;
    let page_views = ssc
        .socket_text_stream(&input.address)?
        .flat_map(PageView::parse);

    // Views per page in each batch.
    let page_counts = page_views.map(|view| view.url).count_by_value();
    show("page counts", &page_counts);

    // Views per page in the last 10 seconds.
    let sliding_page_counts = page_views
        .map(|view| view.url)
        .count_by_value_and_window(seconds(10), seconds(2))?;
    show("page counts of 10 s", &sliding_page_counts);

    // The rate of errors per zip code in the last 30 seconds.
    let statuses_per_zip_code = page_views
        .map(|view| (view.zip_code, view.status))
        .group_by_key_and_window(seconds(30), seconds(2))?;
    let error_rate_per_zip_code = statuses_per_zip_code.map_values(|statuses| {
        let errors = statuses.iter().filter(|&&status| status != 200).count();
        let percent = 100.0 * errors as f64 / statuses.len() as f64;
        let mark = if percent > 5.0 { "**" } else { "" };
        format!("{mark}{percent:.1} %{mark}")
    });
    show("errors per zip code", &error_rate_per_zip_code);

    // How many users were active in the last 15 seconds.
    let active_user_count = page_views
        .window(seconds(15), seconds(2))?
        .map(|view| view.user_id)
        .count_by_value()
        .count();
    show("active users", &active_user_count);

    // Which users of a static list were seen.
    let user_list = ssc.parallelize([(1, "Ada"), (2, "Grace"), (3, "Edsger")], 1);
    let users_seen = page_views
        .map(|view| (view.user_id, ()))
        .transform(move |views, _| Ok(views.join(user_list.clone())))
        .map(|(_, ((), name))| name)
        .count_by_value();
    show("users seen", &users_seen);

    let views = common::total(&page_views.count());
    let seen = common::total(&users_seen.map(|(_, count)| count));

    common::stop_at_ctrl_c(&ssc)?;
    ssc.start()?;
    if !ssc.await_termination_or_timeout(input.run_for)? {
        ssc.stop(true)?;
    }
    input.report(format_args!(
        "{} page views, {} by users of the list",
        views.value(),
        seen.value()
    ));
    Ok(())
}

/// Prints the first records of each batch in a line.
fn show<T, P>(name: &'static str, figures: &DStream<T, P>)
where
    T: Data + Text + Ord,
    P: Pipe<Out = T>,
{
    figures.foreach_rdd(move |rdd, time| {
        let figures = rdd.sort().take(10)?;
        if !figures.is_empty() {
            let figures: Vec<_> = figures.iter().map(Text::to_text).collect();
            println!("{time} {name}: {}", figures.join(" "));
        }
        Ok(())
    });
}

/// A user's visit of a page.
#[derive(Clone)]
struct PageView {
    url: Str,
    status: u16,
    zip_code: u32,
    user_id: u32,
}

impl PageView {
    /// None of a line that is not one.
    fn parse(line: Str) -> Option<Self> {
        let mut fields = line.split('\t');
        Some(Self {
            url: fields.next()?,
            status: fields.next()?.parse().ok()?,
            zip_code: fields.next()?.parse().ok()?,
            user_id: fields.next()?.parse().ok()?,
        })
    }
}

/// Sends 2000 page views within a second: the same each time, as they are drawn
/// by a generator of numbers with a fixed seed.
fn send_page_views(client: &mut TcpStream) -> io::Result<()> {
    let mut random = Random(42);
    common::every(Duration::from_millis(20), 0..50).try_for_each(|_| {
        let views: String = (0..40).map(|_| page_view(&mut random)).collect();
        client.write_all(views.as_bytes())
    })
}

fn page_view(random: &mut Random) -> String {
    let url = match random.percent() {
        0..70 => "http://foo.com/",
        70..90 => "http://foo.com/news",
        _ => "http://foo.com/contact",
    };
    let status = if random.percent() < 95 { 200 } else { 404 };
    let zip_code = if random.percent() < 50 { 94709 } else { 94117 };
    let user_id = random.percent() + 1;
    format!("{url}\t{status}\t{zip_code}\t{user_id}\n")
}

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    /// A number below 100.
    fn percent(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % 100
    }
}
