// How the store's own code makes handles, and looks into them. No header that users include gives
// them another way to.
#ifndef SPILLWAY_STORE_INTERNAL_HANDLE_H_
#define SPILLWAY_STORE_INTERNAL_HANDLE_H_

#include <utility>

#include "absl/types/span.h"
#include "store/internal/entry.h"

namespace spillway::internal {

class HandleAccess {
 public:
  // Adopts one ref.
  template <typename AnyRefT>
  static AnyRefT MakeRef(Entry* entry) {
    AnyRefT ref;
    ref.entry_ = entry;
    return ref;
  }
  template <typename AnyRefT>
  static Entry* EntryOf(const AnyRefT& ref) {
    return ref.entry_;
  }
  template <typename ObjectRefT, typename AnyRefT>
  static ObjectRefT MakeTypedRef(AnyRefT any) {
    return ObjectRefT(std::move(any));
  }

  // Adopts one pin on resident bytes.
  template <typename RawViewT>
  static RawViewT MakeView(Entry* entry, uint16_t label = 0) {
    return RawViewT(entry, label);
  }
  // `bytes` are the raw view's.
  template <typename ObjectViewT, typename RawViewT>
  static ObjectViewT MakeTypedView(RawViewT raw, absl::Span<const char> bytes) {
    return ObjectViewT(std::move(raw), ObjectViewT::TypeCodec::MakeView(bytes));
  }
};

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_HANDLE_H_
