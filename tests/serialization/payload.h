// Bytes as a store holds them: at a multiple of 64, and with nothing readable behind them.
#ifndef SPILLWAY_TESTS_SERIALIZATION_PAYLOAD_H_
#define SPILLWAY_TESTS_SERIALIZATION_PAYLOAD_H_

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "serialization/codec.h"

namespace spillway {

// Owns a payload. The allocation ends where the payload does, so that the address sanitizer sees
// every byte read beyond it.
class Payload {
 public:
  explicit Payload(size_t size) : size_(size) {
    void* memory = nullptr;
    if (posix_memalign(&memory, 64, size == 0 ? 1 : size) != 0) std::abort();
    std::memset(memory, 0xa5, size);  // what a codec forgets to write is noticed
    memory_.reset(static_cast<char*>(memory));
  }
  explicit Payload(std::string_view bytes) : Payload(bytes.size()) {
    if (!bytes.empty()) std::memcpy(memory_.get(), bytes.data(), bytes.size());
  }

  size_t size() const { return size_; }
  absl::Span<char> mutable_bytes() { return {memory_.get(), size_}; }
  absl::Span<const char> bytes() const { return {memory_.get(), size_}; }
  std::string ToString() const { return std::string(memory_.get(), size_); }

 private:
  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };
  std::unique_ptr<char, Free> memory_;
  size_t size_;
};

template <typename T, typename Source>
Payload EncodeToPayload(const Source& source) {
  RequireCodec<T>();
  absl::StatusOr<size_t> size = Codec<T>::EncodedSize(source);
  EXPECT_TRUE(size.ok()) << size.status();
  Payload payload(size.value_or(0));
  Codec<T>::Encode(source, payload.mutable_bytes());
  return payload;
}

// Puts an argument the way a store does, and reads it again.
template <typename Source>
auto DecodedFrom(const Source& source) {
  using T = StoredType<Source>;
  Payload payload = EncodeToPayload<T>(source);
  EXPECT_TRUE(Codec<T>::Verify(payload.bytes()).ok()) << Codec<T>::Verify(payload.bytes());
  return Codec<T>::Decode(Codec<T>::MakeView(payload.bytes()));
}

}  // namespace spillway

#endif  // SPILLWAY_TESTS_SERIALIZATION_PAYLOAD_H_
