// Views: pins on resident objects, to be read in place.
//
// A view is move-only; while it lives, the object's bytes stay where they are, even if the object
// is deleted or the store is gone.
//
// Thread-safety: a view may be read by many threads; it is moved and destroyed by one at a time.
#ifndef SPILLWAY_STORE_OBJECT_VIEW_H_
#define SPILLWAY_STORE_OBJECT_VIEW_H_

#include <type_traits>
#include <utility>

#include "absl/types/span.h"
#include "serialization/codec.h"
#include "store/internal/handle.h"
#include "store/object_id.h"

namespace spillway {

// The bytes of an object of whatever type, as they are stored. One word: a get's result is as small
// as can be, because the unpin's atomic operation waits for every store before it.
class RawView {
 public:
  RawView() = default;
  RawView(RawView&& other) noexcept : word_(std::exchange(other.word_, 0)) {}
  RawView& operator=(RawView&& other) noexcept {
    std::swap(word_, other.word_);
    return *this;
  }
  ~RawView();

  absl::Span<const char> bytes() const;
  const char* data() const { return bytes().data(); }
  size_t size() const { return bytes().size(); }
  ObjectType type() const;
  ObjectId id() const;

 private:
  friend class internal::HandleAccess;
  // The number of the label that the view was given at Get, 0 for none, above the entry's address.
  static constexpr int kLabelShift = 48;

  RawView(internal::Entry* entry, uint16_t label)
      : word_(reinterpret_cast<uintptr_t>(entry) | uintptr_t{label} << kLabelShift) {}

  internal::Entry* entry() const {
    return reinterpret_cast<internal::Entry*>(word_ & ((uintptr_t{1} << kLabelShift) - 1));
  }
  uint16_t label() const { return static_cast<uint16_t>(word_ >> kLabelShift); }

  uintptr_t word_ = 0;
};

// The object as its type's view: a span for a vector, a string_view for a string, a table pointer
// for a flatc table, the value itself for a scalar.
template <typename T>
class ObjectView {
 public:
  using View = ViewOf<T>;
  using TypeCodec = Codec<T>;

  ObjectView() = default;
  ObjectView(ObjectView&&) noexcept = default;
  ObjectView& operator=(ObjectView&&) noexcept = default;

  const View& operator*() const { return view_; }
  // Members of the view; of the table itself if the view is a pointer to one.
  auto operator->() const {
    if constexpr (std::is_pointer_v<View>) {
      return view_;
    } else {
      return &view_;
    }
  }

  const RawView& raw() const { return raw_; }
  ObjectId id() const { return raw_.id(); }

 private:
  friend class internal::HandleAccess;
  ObjectView(RawView raw, View view) : raw_(std::move(raw)), view_(std::move(view)) {}

  RawView raw_;
  View view_{};
};

}  // namespace spillway

#endif  // SPILLWAY_STORE_OBJECT_VIEW_H_
