// What zero-copy reads of collections yield: random-access ranges over the payload's own bytes.
//
// Views are cheap to copy, own nothing and are valid as long as the bytes are: until the ObjectView
// that handed them out goes.
#ifndef SPILLWAY_SERIALIZATION_VIEWS_H_
#define SPILLWAY_SERIALIZATION_VIEWS_H_

#include <compare>
#include <cstddef>
#include <iterator>
#include <string_view>
#include <utility>

#include "serialization/internal/flat_layout.h"

namespace spillway {
namespace internal {

// Random access over anything that has operator[]; the elements are made when they are asked for.
template <typename Range>
class IndexIterator {
 public:
  using iterator_category = std::random_access_iterator_tag;
  using value_type = decltype(std::declval<const Range&>()[0]);
  using difference_type = std::ptrdiff_t;
  using reference = value_type;
  using pointer = void;

  IndexIterator() = default;
  IndexIterator(const Range& range, difference_type index) : range_(range), index_(index) {}

  reference operator*() const { return range_[static_cast<size_t>(index_)]; }
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
  std::string_view operator[](size_t index) const {
    const char* string = internal::Follow(data_ + index * sizeof(uint32_t));
    return {internal::VectorData(string), internal::VectorCount(string)};
  }
  std::string_view front() const { return (*this)[0]; }
  std::string_view back() const { return (*this)[size_ - 1]; }
  const_iterator begin() const { return {*this, 0}; }
  const_iterator end() const { return {*this, static_cast<std::ptrdiff_t>(size_)}; }

 private:
  const char* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace spillway

#endif  // SPILLWAY_SERIALIZATION_VIEWS_H_
