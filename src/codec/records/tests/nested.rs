//! Types that nest in themselves.

use super::*;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Tree {
    name: String,
    parts: Vec<Tree>,
}

/// A tree of two parts at each place.
fn tree(depth: u32) -> Tree {
    let part = || tree(depth - 1);
    Tree {
        name: depth.to_string(),
        parts: (0..2 * depth.min(1)).map(|_| part()).collect(),
    }
}

#[test]
fn a_type_that_nests_in_itself_has_a_short_shape() {
    let trees = [tree(0), tree(7), tree(2)];
    let bytes = written(&trees);
    let shape = Shape::take(&mut &bytes[..]).unwrap();
    let level = |inner: &str| format!("Tree {{name: str, parts: [{inner}]}}");
    assert_eq!(shape.to_string(), level(&level(&level("..."))));
    let (read, is_plain) = try_read::<Tree>(&bytes).unwrap();
    assert_eq!((&read[..], is_plain), (&trees[..], true));

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Other {
        parts: Vec<Other>,
    }
    let flat = Other {
        parts: vec![Other { parts: vec![] }, Other { parts: vec![] }],
    };
    assert_eq!(self::read::<Other>(&written(&[tree(1)])), [flat]);
    let deep = error::<Other>(&bytes);
    assert!(
        deep.contains("it nests in itself, so it can be read in no other shape"),
        "{deep}"
    );

    // A field that had another name once is no other shape.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Renamed {
        #[serde(alias = "name")]
        title: String,
        parts: Vec<Renamed>,
    }
    let deep = |n: usize| {
        let leaf = Renamed {
            title: n.to_string(),
            parts: Vec::new(),
        };
        (0..n).fold(leaf, |inner, depth| Renamed {
            title: depth.to_string(),
            parts: vec![inner],
        })
    };
    let renamed = [deep(9), deep(0), deep(4)];
    let (read, is_plain) = try_read::<Renamed>(&written(&renamed)).unwrap();
    assert_eq!((&read[..], is_plain), (&renamed[..], true));
    let before = error::<Renamed>(&bytes);
    assert!(before.contains("it nests in itself"), "{before}");
    assert_eq!(self::read::<Renamed>(&written(&[tree(0)]))[0].title, "0");

    // Without a name at each level, too.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Chain(Option<Box<Chain>>);
    let chain = (0..80).fold(Chain(None), |chain, _| Chain(Some(Box::new(chain))));
    let bytes = written(&[chain]);
    assert_eq!(self::read::<Chain>(&bytes).len(), 1);
    let shape = Shape::take(&mut &bytes[..]).unwrap().to_string();
    assert_eq!(shape.matches("Option").count(), 64);
}

/// Whatever differs, and wherever that is seen, of what nests deeply.
#[test]
fn a_type_that_nests_in_itself_can_be_read_in_no_other_shape() {
    macro_rules! nests {
        ($name:ident {$($before:ident: $type:ty)?}, {$($behind:ident: $other:ty)?}) => {
            #[derive(Default, Serialize, Deserialize)]
            struct $name {
                $($before: $type,)?
                parts: Vec<$name>,
                $($behind: $other,)?
            }
        };
    }
    nests!(Small { n: u16 }, {});
    nests!(Wide { n: u32 }, {});
    nests!(Perhaps { n: Option<u16> }, {});
    nests!(SmallBehind {}, { n: u16 });
    nests!(WideBehind {}, { n: u32 });
    fn fails<A: Serialize + DeserializeOwned, B: Serialize + DeserializeOwned>(deep: A) {
        let bytes = written(&[deep]);
        assert_eq!(read::<A>(&bytes).len(), 1);
        let error = error::<B>(&bytes);
        let end = "it nests in itself, so it can be read in no other shape";
        assert!(error.ends_with(end), "{error}");
    }
    let small = || {
        (0..9).fold(Small::default(), |inner, n| Small {
            n,
            parts: vec![inner],
        })
    };
    let behind = (0..9).fold(SmallBehind::default(), |inner, n| SmallBehind {
        parts: vec![inner],
        n,
    });
    fails::<_, Wide>(small());
    fails::<_, Perhaps>(small());
    fails::<_, WideBehind>(behind);

    #[derive(Serialize, Deserialize)]
    enum Before {
        Leaf,
        Node(Vec<Before>),
    }
    #[derive(Serialize, Deserialize)]
    enum After {
        Node(Vec<After>),
        Leaf,
    }
    let deep = (0..9).fold(Before::Leaf, |inner, _| Before::Node(vec![inner]));
    fails::<_, After>(deep);
}
