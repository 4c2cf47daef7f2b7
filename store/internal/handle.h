// How the store's own code makes handles, and looks into them. No header that users include gives
// them another way to.
#ifndef SPILLWAY_STORE_INTERNAL_HANDLE_H_
#define SPILLWAY_STORE_INTERNAL_HANDLE_H_

#include <utility>

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
  static RawViewT MakeView(Entry* entry, const char* label = nullptr) {
    return RawViewT(entry, {BytesOf(entry), entry->size}, label);
  }
  template <typename ObjectViewT, typename RawViewT>
  static ObjectViewT MakeTypedView(RawViewT raw) {
    auto view = ObjectViewT::TypeCodec::MakeView(raw.bytes());
    return ObjectViewT(std::move(raw), std::move(view));
  }
};

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_HANDLE_H_
