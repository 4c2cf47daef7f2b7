// The schema fingerprint of a type: what it is made of, as one number. FORMAT.md says what it
// means.
#ifndef SPILLWAY_SERIALIZATION_INTERNAL_SCHEMA_HASH_H_
#define SPILLWAY_SERIALIZATION_INTERNAL_SCHEMA_HASH_H_

#include <cstdint>
#include <string_view>

#include "serialization/internal/type_name.h"

namespace spillway::internal {

// Hashes one table, field by field in the order of their ids, so that what an older schema with
// fewer fields had is a state on the way.
class TableHash {
 public:
  constexpr explicit TableHash(std::string_view name)
      : hash_(Fnv1a64("{", Fnv1a64(name, Fnv1a64("table ")))) {}

  // `type` as FlatBuffers schemas write it, with full names; `detail` is what else changes how the
  // field is read: its default, "null" or "required".
  constexpr TableHash& AddField(std::string_view name, std::string_view type,
                                std::string_view detail = "") {
    hash_ = Fnv1a64(":", Fnv1a64(name, hash_));
    hash_ = Fnv1a64("=", Fnv1a64(type, hash_));
    hash_ = Fnv1a64(";", Fnv1a64(detail, hash_));
    return *this;
  }

  // What the table as it is now adds to the fingerprint: the hash, mixed so that sums of several
  // tables' do not meet (the finaliser of MurmurHash3, by Austin Appleby).
  constexpr uint64_t Contribution() const {
    uint64_t mixed = hash_;
    mixed = (mixed ^ (mixed >> 33)) * 0xff51afd7ed558ccdu;
    mixed = (mixed ^ (mixed >> 33)) * 0xc4ceb9fe1a85ec53u;
    return mixed ^ (mixed >> 33);
  }

 private:
  uint64_t hash_;
};

// 0 stands for an unknown schema.
constexpr uint64_t FinishFingerprint(uint64_t sum) { return sum == 0 ? 1 : sum; }

}  // namespace spillway::internal

#endif  // SPILLWAY_SERIALIZATION_INTERNAL_SCHEMA_HASH_H_
