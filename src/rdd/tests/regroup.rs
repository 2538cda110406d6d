//! Operations on whole partitions, and those that make others of them.

use super::*;

fn texts() -> impl Strategy<Value = Vec<Vec<String>>> {
    prop::collection::vec(prop::collection::vec("[a-d]{0,3}|[a-d]{20}", 0..20), 0..8)
}

fn check_regrouped<P: Pipe<Out = String>>(rdd: &Rdd<String, P>, twin: &[Vec<String>], out: usize) {
    let all = twin.concat();
    assert_eq!(rdd.clone().glom().collect().unwrap(), twin);

    let indexed = rdd.clone().map_partitions(|records| {
        let (index, len) = (records.partition_index(), records.len());
        [(index, len, String::new())]
            .into_iter()
            .chain(records.map(move |text| (index, len, text)))
    });
    let mapped: Vec<Vec<_>> = twin
        .iter()
        .enumerate()
        .map(|(index, part)| {
            let texts = [String::new()].into_iter().chain(part.iter().cloned());
            texts.map(|text| (index, part.len(), text)).collect()
        })
        .collect();
    assert_eq!(indexed.collect_partitions().unwrap(), mapped);
    assert_eq!(indexed.count().unwrap(), (all.len() + twin.len()) as u64);
    assert_eq!(
        indexed.take(3).unwrap(),
        mapped.concat()[..mapped.concat().len().min(3)]
    );

    let few = rdd.clone().coalesce(out);
    assert_eq!(few.num_partitions(), out.min(twin.len()));
    let parts = few.collect_partitions().unwrap();
    assert_eq!(parts.len(), few.num_partitions());
    assert_eq!(parts.concat(), all);
    assert_eq!(few.count().unwrap(), all.len() as u64);
    for n in [0, 1, all.len() / 2, all.len()] {
        assert_eq!(few.take(n).unwrap(), all[..n.min(all.len())]);
    }

    let ranked = rdd.clone().zip_with_index();
    assert_eq!(ranked.num_partitions(), twin.len());
    assert_eq!(
        ranked.collect().unwrap(),
        all.iter().cloned().zip(0..).collect::<Vec<_>>()
    );
    assert_eq!(ranked.take(3).unwrap().len(), all.len().min(3));

    let pairs = rdd.clone().map(|text| (text.len(), text));
    assert_eq!(pairs.clone().values().collect().unwrap(), all);
    let lens: Vec<_> = all.iter().map(String::len).collect();
    assert_eq!(pairs.clone().keys().collect().unwrap(), lens);

    let chars = pairs
        .clone()
        .flat_map_values(|text| text.chars().collect::<Vec<_>>());
    let twin_chars = all
        .iter()
        .flat_map(|text| text.chars().map(|c| (text.len(), c)));
    let twin_chars: Vec<_> = twin_chars.collect();
    assert_eq!(chars.collect().unwrap(), twin_chars);
    assert_eq!(
        chars.take(2).unwrap(),
        twin_chars[..twin_chars.len().min(2)]
    );
    assert_eq!(chars.num_partitions(), twin.len());

    let placed = pairs.partition_by(|len| len + 1, out);
    let parts = placed.collect_partitions().unwrap();
    assert_eq!(parts.len(), out);
    for (i, part) in parts.iter().enumerate() {
        assert!(part.iter().all(|(len, _)| (len + 1) % out == i));
    }
    let placed: Vec<_> = parts.concat().into_iter().map(|(_, text)| text).collect();
    assert_eq!(sorted(placed), sorted(all.clone()));

    let few = ["x".to_owned(), "y".to_owned()];
    let product = rdd
        .clone()
        .cartesian(make(&[few.to_vec()], Layout::AtRest, 2));
    let twin_product: Vec<_> = all
        .iter()
        .flat_map(|text| few.iter().map(|other| (text.clone(), other.clone())))
        .collect();
    assert_eq!(product.num_partitions(), twin.len());
    assert_eq!(product.collect().unwrap(), twin_product);
    assert_eq!(product.count().unwrap(), twin_product.len() as u64);
    assert_eq!(
        product.take(3).unwrap(),
        twin_product[..twin_product.len().min(3)]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn partitions_become_what_their_twins_become(
        parts in texts(),
        layout in prop::sample::select(&LAYOUTS),
        workers in prop::sample::select(&[1, 2, 4]),
        out in 1_usize..6,
    ) {
        let rdd = make(&parts, layout, workers);
        check_regrouped(&rdd, &parts, out);
        check_regrouped(&rdd.clone().boxed(), &parts, out);
        let twin: Vec<Vec<String>> = parts
            .iter()
            .map(|part| part.iter().filter(|text| text.len() != 1).cloned().collect())
            .collect();
        check_regrouped(&rdd.filter(|text| text.len() != 1), &twin, out);
    }
}

#[test]
fn a_large_product_comes_in_chunks() {
    let (left, right) = (numbers(30, 2, 2), numbers(100, 3, 2));
    let product = left.cartesian(right);
    let twin: Vec<_> = (0..30)
        .flat_map(|x| (0..100).map(move |y| (x, y)))
        .collect();
    assert_eq!(product.collect().unwrap(), twin);
    for n in [0, 1, CHUNK, CHUNK + 1, 1500, 3000] {
        assert_eq!(product.take(n).unwrap(), twin[..n]);
    }
    assert_eq!(product.filter(|(x, y)| x == y).count().unwrap(), 30);
    let none = numbers(30, 2, 2).cartesian(numbers(0, 1, 2));
    assert_eq!(none.collect().unwrap(), [(0, 0); 0]);
}

#[test]
fn a_mapped_partition_is_read_no_further_than_needed() {
    let endless = numbers(2, 2, 2).map_partitions(|records| records.flat_map(|x| x..));
    assert_eq!(endless.take(3).unwrap(), [0, 1, 2]);
    let none = make::<u64>(&[], Layout::AtRest, 2);
    assert_eq!(none.clone().glom().count().unwrap(), 0);
    assert_eq!(none.coalesce(3).num_partitions(), 0);
    let two = numbers(4, 2, 2);
    assert_eq!(two.clone().coalesce(0).num_partitions(), 1);
    assert_eq!(two.clone().coalesce(9).num_partitions(), 2);
    assert_eq!(two.coalesce(1).boxed().known_count(), 4);
}

#[test]
fn an_index_is_given_once() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let ranked = numbers(1000, 3, 2)
        .map(move |x| {
            counted.fetch_add(1, Relaxed);
            x
        })
        .zip_with_index();
    assert_eq!(calls.load(Relaxed), 0);
    for _ in 0..2 {
        assert_eq!(ranked.collect().unwrap()[999], (999, 999));
    }
    assert_eq!(calls.load(Relaxed), 1000);
}

#[test]
fn a_panic_names_the_step() {
    for layout in LAYOUTS {
        let rdd = || make(&[vec![1_u64, 2, 3], vec![4, 5]], layout, 2);
        let line = line!() + 1;
        let mapped = rdd().map(|x| x).map_partitions(|records| [no(records)]);
        let filtered = mapped.filter(|_| true);
        let steps = [
            ("map", line),
            ("map_partitions", line),
            ("filter", line + 1),
        ];
        assert_names(filtered.collect(), &steps);
        assert_names(filtered.count(), &steps);

        let line = line!() + 1;
        let broken = || rdd().map(no);
        let step = |name, at| [("map", line), (name, at)];
        assert_names(broken().glom().collect(), &step("glom", line!()));
        assert_names(broken().coalesce(1).collect(), &[("map", line)]);
        let ranked = broken().zip_with_index();
        assert_names(ranked.collect(), &[("map", line)]);
        let product = broken().cartesian(rdd());
        assert_names(product.collect(), &step("cartesian", line!() - 1));
        let product = rdd().cartesian(broken());
        assert_names(product.collect(), &[("map", line)]);
        let counts = broken().count_by_value();
        assert_names(counts.collect(), &step("count_by_value", line!() - 1));

        let line = line!() + 1;
        let pairs = || rdd().map(|x| (x, x));
        let step = |name, at| [("map", line), (name, at)];
        let placed = pairs().partition_by(|&x| usize::from(no(x)), 2);
        assert_names(placed.collect(), &step("partition_by", line!() - 1));
        let values = pairs().flat_map_values(|x| [no(x)]);
        assert_names(values.collect(), &step("flat_map_values", line!() - 1));
    }
}
