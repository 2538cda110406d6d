//! A text block: bytes that one receiver fills and many [`Str`](super::Str)s
//! share.
//!
//! The count of owners and the bytes stand in one allocation, so a string is
//! one pointer away from its bytes. While a worker cuts a block into strings it
//! holds a [`Lease`]: references taken in bulk, handed out and taken back
//! without an atomic operation, so that two workers on two blocks (or on one)
//! never fight over a counter for each record.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::fmt;
use std::ptr::{self, NonNull};

use crate::sync::atomic::{AtomicUsize, Ordering, fence};

/// What stands before the bytes of a block.
#[repr(C, align(16))]
pub(super) struct Header {
    /// References to this block, leased ones included. Anybody writes it.
    refs: AtomicUsize,
    capacity: usize,
}

/// A counted handle to a block of bytes.
///
/// Bytes are written only through [`write_at`](Self::write_at) by the one
/// owner of the part behind what was published, and read only as published
/// ranges; the ring's protocol keeps the two apart.
pub(crate) struct TextBlock {
    header: NonNull<Header>,
}

// SAFETY: the count is atomic and the bytes are shared by the rule above.
unsafe impl Send for TextBlock {}
// SAFETY: as above.
unsafe impl Sync for TextBlock {}

pub(super) const HEADER: usize = size_of::<Header>();

/// What the 31 bits of an offset or a length in a `Str` can tell.
const MAX_CAPACITY: usize = (1 << 31) - 1;

fn layout(capacity: usize) -> Layout {
    Layout::from_size_align(HEADER + capacity, align_of::<Header>())
        .expect("the capacity of a block is bounded by the configuration")
}

impl TextBlock {
    /// Allocates a block of zeros.
    pub(crate) fn zeroed(capacity: usize) -> Self {
        // SAFETY: the layout is never empty, as the header is not.
        Self::allocate(capacity, |layout| unsafe { alloc_zeroed(layout) })
    }

    fn allocate(capacity: usize, alloc: impl FnOnce(Layout) -> *mut u8) -> Self {
        assert!(
            capacity <= MAX_CAPACITY,
            "a text block holds less than 2 GiB"
        );
        let layout = layout(capacity);
        let raw = alloc(layout);
        let Some(header) = NonNull::new(raw.cast::<Header>()) else {
            handle_alloc_error(layout)
        };
        let first = Header {
            refs: AtomicUsize::new(1),
            capacity,
        };
        // SAFETY: freshly allocated with the header's size and alignment.
        unsafe { header.write(first) };
        Self { header }
    }

    /// A block that holds just these bytes.
    pub(crate) fn copy_of(bytes: &[u8]) -> Self {
        // SAFETY: the layout is never empty, as the header is not.
        let block = Self::allocate(bytes.len(), |layout| unsafe { alloc(layout) });
        // SAFETY: nobody else has the block, and it has the room.
        unsafe { block.write_at(0, bytes) };
        block
    }

    pub(crate) fn capacity(&self) -> usize {
        // SAFETY: the handle keeps the header alive.
        unsafe { capacity_of(self.header) }
    }

    /// Whether this handle is the only reference left.
    pub(crate) fn is_unique(&self) -> bool {
        // Acquire: what the other owners did comes before any reuse.
        // SAFETY: the handle keeps the header alive.
        unsafe { self.header.as_ref() }.refs.load(Ordering::Acquire) == 1
    }

    pub(crate) fn as_ptr(&self) -> *mut u8 {
        bytes_of(self.header)
    }

    /// All bytes, to be written to, if this handle is the only reference.
    pub(super) fn get_mut(&mut self) -> Option<&mut [u8]> {
        if !self.is_unique() {
            return None;
        }
        // SAFETY: a block is made of zeros or of a copy that fills it; nobody else
        // has it, and it is borrowed for as long.
        Some(unsafe { std::slice::from_raw_parts_mut(self.as_ptr(), self.capacity()) })
    }

    /// Copies `bytes` to `offset`.
    ///
    /// # Safety
    /// The caller alone may touch that range now, and it lies in the capacity.
    pub(crate) unsafe fn write_at(&self, offset: usize, bytes: &[u8]) {
        debug_assert!(offset + bytes.len() <= self.capacity());
        let to = self.as_ptr().wrapping_add(offset);
        // SAFETY: the caller gives the range.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    /// The bytes of a published range.
    ///
    /// # Safety
    /// `start..end` was written before, and nobody writes to it any more.
    pub(crate) unsafe fn slice(&self, start: usize, end: usize) -> &[u8] {
        debug_assert!(start <= end && end <= self.capacity());
        let from = self.as_ptr().wrapping_add(start);
        // SAFETY: the caller gives the range, the handle keeps it alive.
        unsafe { std::slice::from_raw_parts(from, end - start) }
    }

    pub(super) fn header(&self) -> NonNull<Header> {
        self.header
    }

    /// Takes references in bulk for this thread until the lease is dropped.
    pub(crate) fn lease(&self) -> Lease<'_> {
        // SAFETY: the handle keeps the header alive.
        let refs = &unsafe { self.header.as_ref() }.refs;
        // Relaxed: a new reference is made from one that exists.
        let before = refs.fetch_add(LEASED, Ordering::Relaxed);
        assert!(before < MAX_REFS, "too many leases of one block");
        let outer = CREDIT.replace((self.header.as_ptr(), LEASED));
        Lease { block: self, outer }
    }
}

impl Clone for TextBlock {
    fn clone(&self) -> Self {
        // SAFETY: `self` is a reference to the block.
        unsafe { acquire(self.header) };
        Self {
            header: self.header,
        }
    }
}

impl Drop for TextBlock {
    fn drop(&mut self) {
        // SAFETY: the handle that gives up its reference is going.
        unsafe { release(self.header) };
    }
}

impl fmt::Debug for TextBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextBlock")
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

/// How many bytes a block has.
///
/// # Safety
/// The caller has a reference to the block.
pub(super) unsafe fn capacity_of(header: NonNull<Header>) -> usize {
    // SAFETY: that reference keeps the header alive.
    unsafe { header.as_ref() }.capacity
}

pub(super) fn bytes_of(header: NonNull<Header>) -> *mut u8 {
    header.as_ptr().cast::<u8>().wrapping_add(HEADER)
}

/// References that one lease takes: more than a block has bytes, so they never
/// run out, and few enough that leases never overflow the count.
const LEASED: usize = 1 << 40;

/// No lease is given beyond so many references: half of what the count holds.
const MAX_REFS: usize = usize::MAX / 2;

thread_local! {
    /// The block that this thread has a lease on, and the references left.
    static CREDIT: Cell<(*mut Header, usize)> = const { Cell::new((ptr::null_mut(), 0)) };
}

/// Makes one more reference.
///
/// # Safety
/// The caller has a reference to the block.
#[inline]
pub(super) unsafe fn acquire(header: NonNull<Header>) {
    let (leased, left) = CREDIT.get();
    if leased == header.as_ptr() && left > 1 {
        CREDIT.set((leased, left - 1));
    } else {
        // SAFETY: the caller's own reference keeps the header alive.
        // Relaxed: a new reference is made from one that exists.
        unsafe { header.as_ref() }
            .refs
            .fetch_add(1, Ordering::Relaxed);
    }
}

/// Gives one reference back.
///
/// # Safety
/// The caller has that reference, and does not use it any more.
#[inline]
pub(super) unsafe fn release(header: NonNull<Header>) {
    let (leased, left) = CREDIT.get();
    if leased == header.as_ptr() {
        // The lease itself still holds the block.
        CREDIT.set((leased, left + 1));
    } else {
        // SAFETY: the caller gives the reference.
        unsafe { release_many(header, 1) };
    }
}

/// # Safety
/// The caller has so many references, and does not use them any more.
#[inline(never)]
unsafe fn release_many(header: NonNull<Header>, count: usize) {
    // SAFETY: the references given back here keep the header alive until now.
    // Release: what this owner did comes before the block is freed or reused.
    if unsafe { header.as_ref() }
        .refs
        .fetch_sub(count, Ordering::Release)
        == count
    {
        // Acquire: what all other owners did comes before the free.
        fence(Ordering::Acquire);
        // SAFETY: that was the last reference; the header is still valid.
        let capacity = unsafe { header.as_ref() }.capacity;
        // SAFETY: allocated with this very layout.
        unsafe { dealloc(header.as_ptr().cast(), layout(capacity)) };
    }
}

/// See [`TextBlock::lease`].
pub(crate) struct Lease<'b> {
    block: &'b TextBlock,
    /// What the thread had before: leases nest.
    outer: (*mut Header, usize),
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let (leased, left) = CREDIT.replace(self.outer);
        // Otherwise another block's references would be given back.
        assert!(
            ptr::eq(leased, self.block.header.as_ptr()),
            "leases end in order"
        );
        // SAFETY: what is left of the references that `lease` took and of those
        // that this thread took over since.
        unsafe { release_many(self.block.header, left) };
    }
}

impl fmt::Debug for Lease<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("block", self.block)
            .finish_non_exhaustive()
    }
}
