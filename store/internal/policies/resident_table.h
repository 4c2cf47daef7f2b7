// ResidentTable: what an eviction policy remembers of the resident objects, by slot.
//
// A policy derives its node from ResidentNode (or LinkedNode, if it keeps objects in lists) and
// adds what it needs; the table tells present slots from absent ones and counts objects and bytes.
//
// Thread-safety: none.
#ifndef SPILLWAY_STORE_INTERNAL_POLICIES_RESIDENT_TABLE_H_
#define SPILLWAY_STORE_INTERNAL_POLICIES_RESIDENT_TABLE_H_

#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "glog/logging.h"
#include "store/eviction_policy.h"
#include "store/internal/policies/slab_vector.h"

namespace spillway::internal {

// The size in four bytes, so that a node of an object costs little. The few objects of 2 GiB and
// more have theirs in a side table.
struct ResidentNode {
  static constexpr uint32_t kAbsent = 0x7fffffff;
  static constexpr uint32_t kLarge = 0x7ffffffe;

  uint32_t size_code : 31 = kAbsent;
  uint32_t tag : 1 = 0;  // free for the policy's use
};

struct LinkedNode : ResidentNode {
  SlotIndex prev = kNoSlot;  // towards the head
  SlotIndex next = kNoSlot;  // towards the tail
};

template <typename Node>
class ResidentTable {
 public:
  bool Contains(SlotIndex slot) const {
    return slot < nodes_.size() && nodes_[slot].size_code != ResidentNode::kAbsent;
  }

  // Makes the node of `slot`, default-constructed but for its size. REQUIRES: !Contains(slot).
  Node& Add(SlotIndex slot, uint64_t size_bytes) {
    CHECK(!Contains(slot)) << "slot " << slot << " is in the policy already";
    CHECK_NE(slot, kNoSlot);
    nodes_.Cover(slot);
    nodes_[slot] = Node();
    return Revive(slot, size_bytes);
  }

  // Makes the node of `slot` present again with all that was left in it when it was erased.
  // REQUIRES: slot < slots(), !Contains(slot).
  Node& Revive(SlotIndex slot, uint64_t size_bytes) {
    CHECK(!Contains(slot)) << "slot " << slot << " is in the policy already";
    Node& node = nodes_[slot];
    if (size_bytes < ResidentNode::kLarge) {
      node.size_code = static_cast<uint32_t>(size_bytes);
    } else {
      node.size_code = ResidentNode::kLarge;
      large_sizes_[slot] = size_bytes;
    }
    ++objects_;
    bytes_ += size_bytes;
    return node;
  }

  // REQUIRES: Contains(slot), and the slot is in no list.
  void Erase(SlotIndex slot) {
    const uint64_t size_bytes = SizeOf(slot);
    if (nodes_[slot].size_code == ResidentNode::kLarge) large_sizes_.erase(slot);
    nodes_[slot].size_code = ResidentNode::kAbsent;
    --objects_;
    bytes_ -= size_bytes;
  }

  // Nodes there are, present or not.
  size_t slots() const { return nodes_.size(); }

  // REQUIRES: slot < slots().
  Node& operator[](SlotIndex slot) { return nodes_[slot]; }
  const Node& operator[](SlotIndex slot) const { return nodes_[slot]; }

  // REQUIRES: Contains(slot).
  uint64_t SizeOf(SlotIndex slot) const {
    const uint32_t code = nodes_[slot].size_code;
    DCHECK_NE(code, ResidentNode::kAbsent);
    return code != ResidentNode::kLarge ? code : large_sizes_.at(slot);
  }

  uint64_t objects() const { return objects_; }
  uint64_t bytes() const { return bytes_; }

  uint64_t MemoryBytes() const {
    constexpr uint64_t kLargeSizeBytes = sizeof(std::pair<SlotIndex, uint64_t>) + 1;
    return nodes_.MemoryBytes() + large_sizes_.capacity() * kLargeSizeBytes;
  }

 private:
  SlabVector<Node> nodes_;
  absl::flat_hash_map<SlotIndex, uint64_t> large_sizes_;
  uint64_t objects_ = 0;
  uint64_t bytes_ = 0;
};

// A list of slots, linked through their nodes: new ones go to the head, victims come from the tail.
// `Nodes` is anything that gives a LinkedNode by index.
class SlotList {
 public:
  SlotIndex head() const { return head_; }
  SlotIndex tail() const { return tail_; }
  bool empty() const { return head_ == kNoSlot; }

  template <typename Nodes>
  void PushHead(Nodes& nodes, SlotIndex slot) {
    auto& node = nodes[slot];
    node.prev = kNoSlot;
    node.next = head_;
    if (head_ != kNoSlot) {
      nodes[head_].prev = slot;
    } else {
      tail_ = slot;
    }
    head_ = slot;
  }

  template <typename Nodes>
  void Unlink(Nodes& nodes, SlotIndex slot) {
    const auto& node = nodes[slot];
    if (node.prev != kNoSlot) {
      nodes[node.prev].next = node.next;
    } else {
      head_ = node.next;
    }
    if (node.next != kNoSlot) {
      nodes[node.next].prev = node.prev;
    } else {
      tail_ = node.prev;
    }
  }

 private:
  SlotIndex head_ = kNoSlot;
  SlotIndex tail_ = kNoSlot;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_POLICIES_RESIDENT_TABLE_H_
