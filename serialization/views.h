// What zero-copy reads of collections yield: random-access ranges over the payload's own bytes.
//
// Views are cheap to copy, own nothing and are valid as long as the bytes are: until the ObjectView
// that handed them out goes. Their elements are made when they are asked for, by value.
#ifndef SPILLWAY_SERIALIZATION_VIEWS_H_
#define SPILLWAY_SERIALIZATION_VIEWS_H_

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "serialization/internal/flat_layout.h"

namespace spillway {
namespace internal {

// How types are parts of payloads; wire.h defines it.
template <typename T, typename Enable = void>
struct Wire;
template <typename E>
constexpr size_t ElementSize();
template <typename E>
typename Wire<E>::View LoadElement(const char* at);
template <typename E, typename Elements>
typename Wire<E>::View ElementOf(const Elements& elements, size_t index);

// Keys by which a map's view can be searched.
template <typename K>
inline constexpr bool kIsOrderedKey =
    std::is_integral_v<K> || std::is_enum_v<K> || std::is_same_v<K, std::string>;

// Random access by `range.Element(index)`.
template <typename Range>
class IndexIterator {
 public:
  using iterator_category = std::random_access_iterator_tag;
  using value_type = typename Range::value_type;
  using difference_type = std::ptrdiff_t;
  using reference = value_type;
  using pointer = void;

  IndexIterator() = default;
  IndexIterator(const Range& range, difference_type index) : range_(range), index_(index) {}

  reference operator*() const { return range_.Element(static_cast<size_t>(index_)); }
  reference operator[](difference_type n) const { return *(*this + n); }
  IndexIterator& operator++() { return *this += 1; }
  IndexIterator& operator--() { return *this -= 1; }
  IndexIterator operator++(int) { return std::exchange(*this, *this + 1); }
  IndexIterator operator--(int) { return std::exchange(*this, *this - 1); }
  IndexIterator& operator+=(difference_type n) {
    index_ += n;
    return *this;
  }
  IndexIterator& operator-=(difference_type n) { return *this += -n; }
  friend IndexIterator operator+(IndexIterator it, difference_type n) { return it += n; }
  friend IndexIterator operator+(difference_type n, IndexIterator it) { return it += n; }
  friend IndexIterator operator-(IndexIterator it, difference_type n) { return it -= n; }
  friend difference_type operator-(const IndexIterator& a, const IndexIterator& b) {
    return a.index_ - b.index_;
  }
  friend bool operator==(const IndexIterator& a, const IndexIterator& b) {
    return a.index_ == b.index_;
  }
  friend auto operator<=>(const IndexIterator& a, const IndexIterator& b) {
    return a.index_ <=> b.index_;
  }

 private:
  Range range_;
  difference_type index_ = 0;
};

}  // namespace internal

// The view of a vector of strings. Elements may hold any bytes, NUL included.
class StringVectorView {
 public:
  using value_type = std::string_view;
  using const_iterator = internal::IndexIterator<StringVectorView>;
  using iterator = const_iterator;

  StringVectorView() = default;
  // REQUIRES: `vector` is a vector of strings in trusted bytes, or null for none.
  explicit StringVectorView(const char* vector) {
    if (vector != nullptr) {
      data_ = internal::VectorData(vector);
      size_ = internal::VectorCount(vector);
    }
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // REQUIRES: index < size().
  std::string_view operator[](size_t index) const { return Element(index); }
  std::string_view front() const { return Element(0); }
  std::string_view back() const { return Element(size_ - 1); }
  const_iterator begin() const { return {*this, 0}; }
  const_iterator end() const { return {*this, static_cast<std::ptrdiff_t>(size_)}; }

 private:
  friend const_iterator;

  std::string_view Element(size_t index) const {
    const char* string = internal::Follow(data_ + index * sizeof(uint32_t));
    return {internal::VectorData(string), internal::VectorCount(string)};
  }

  const char* data_ = nullptr;
  size_t size_ = 0;
};

// The view of a vector whose elements are neither scalars nor strings: vectors, pairs, optionals,
// ... Elements are the views of E.
template <typename E>
class VectorView {
 public:
  using value_type = typename internal::Wire<E>::View;
  using const_iterator = internal::IndexIterator<VectorView>;
  using iterator = const_iterator;

  VectorView() = default;
  // REQUIRES: `count` elements of a vector of E stand at `data`, in trusted bytes.
  VectorView(const char* data, size_t count) : data_(data), size_(count) {}

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // REQUIRES: index < size().
  value_type operator[](size_t index) const { return Element(index); }
  value_type front() const { return Element(0); }
  value_type back() const { return Element(size_ - 1); }
  const_iterator begin() const { return {*this, 0}; }
  const_iterator end() const { return {*this, static_cast<std::ptrdiff_t>(size_)}; }

 private:
  friend const_iterator;

  value_type Element(size_t index) const {
    return internal::LoadElement<E>(data_ + index * internal::ElementSize<E>());
  }

  const char* data_ = nullptr;
  size_t size_ = 0;
};

// The view of a map from K to V: pairs of their views. Integers, enums and strings as keys are in
// ascending order, whatever the order of the map was, and can be searched.
template <typename K, typename V>
class MapView {
 public:
  using Keys = typename internal::Wire<std::vector<K>>::View;
  using Values = typename internal::Wire<std::vector<V>>::View;
  using Key = typename internal::Wire<K>::View;
  using Value = typename internal::Wire<V>::View;
  using value_type = std::pair<Key, Value>;
  using const_iterator = internal::IndexIterator<MapView>;
  using iterator = const_iterator;

  MapView() = default;
  // REQUIRES: as many keys as values; keys that can be searched are in order.
  MapView(Keys keys, Values values) : keys_(keys), values_(values) {}

  size_t size() const { return keys_.size(); }
  bool empty() const { return keys_.empty(); }
  // Side by side, in the same order; spans where vectors of the type are viewed as spans.
  const Keys& keys() const { return keys_; }
  const Values& values() const { return values_; }
  // The entry at a position, not that of a key. REQUIRES: index < size().
  value_type entry(size_t index) const {
    return {internal::ElementOf<K>(keys_, index), internal::ElementOf<V>(values_, index)};
  }
  const_iterator begin() const { return {*this, 0}; }
  const_iterator end() const { return {*this, static_cast<std::ptrdiff_t>(size())}; }

  // Binary search; end() when there is no such key.
  const_iterator find(const Key& key) const requires internal::kIsOrderedKey<K> {
    auto at = std::lower_bound(keys_.begin(), keys_.end(), key);
    if (at == keys_.end() || key < *at) return end();
    return {*this, at - keys_.begin()};
  }
  bool contains(const Key& key) const requires internal::kIsOrderedKey<K> {
    return find(key) != end();
  }

 private:
  friend const_iterator;

  value_type Element(size_t index) const { return entry(index); }

  Keys keys_;
  Values values_;
};

}  // namespace spillway

#endif  // SPILLWAY_SERIALIZATION_VIEWS_H_
