// Files and directories that must be gone when the process is, however it ends: short of SIGKILL.
#ifndef SPILLWAY_TOOLS_SPILLWAY_TEMPORARY_PATH_H_
#define SPILLWAY_TOOLS_SPILLWAY_TEMPORARY_PATH_H_

#include <string>

namespace spillway {

// Removes what is at a path when it goes out of scope, or when RemoveAll is called in a hurry.
//
// Thread-safety: RemoveAll may be called by any thread at any time.
class TemporaryPath {
 public:
  enum class What {
    kFile,
    kTree,      // a directory with all that is in it
    kContents,  // all that is in a directory, but not the directory
  };

  TemporaryPath(std::string path, What what);
  ~TemporaryPath();
  TemporaryPath(const TemporaryPath&) = delete;
  TemporaryPath& operator=(const TemporaryPath&) = delete;

  const std::string& path() const { return path_; }

  // Removes it now. Errors are logged: there is nobody who could do anything about them.
  void Remove();

  // It is to stay after all.
  void Keep();

  // Removes every temporary path there is, and keeps the lock: no more can be made. For the end of
  // the process.
  static void RemoveAll();

 private:
  const std::string path_;
  const What what_;
};

}  // namespace spillway

#endif  // SPILLWAY_TOOLS_SPILLWAY_TEMPORARY_PATH_H_
