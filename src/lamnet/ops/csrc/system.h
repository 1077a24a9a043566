/* What differs between systems: threads, locks and aligned memory, with the few functions that are used of them. */
#pragma once
#include <stddef.h>

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#include <malloc.h>

typedef HANDLE thread;
typedef SRWLOCK mutex;
typedef CONDITION_VARIABLE condition;
#define THREAD_BODY DWORD WINAPI
#define THREAD_END 0

static inline int start_thread(thread *t, LPTHREAD_START_ROUTINE body, void *argument) {
    return (*t = CreateThread(NULL, 0, body, argument, 0, NULL)) != NULL;
}
static inline void join_thread(thread t) { WaitForSingleObject(t, INFINITE), CloseHandle(t); }
static inline void begin_mutex(mutex *m) { InitializeSRWLock(m); }
static inline void end_mutex(mutex *m) { (void)m; }
static inline void lock(mutex *m) { AcquireSRWLockExclusive(m); }
static inline void unlock(mutex *m) { ReleaseSRWLockExclusive(m); }
static inline void begin_condition(condition *c) { InitializeConditionVariable(c); }
static inline void end_condition(condition *c) { (void)c; }
static inline void wait_for(condition *c, mutex *m) { SleepConditionVariableSRW(c, m, INFINITE, 0); }
static inline void wake_all(condition *c) { WakeAllConditionVariable(c); }
static inline void *allocate(size_t bytes) { return _aligned_malloc(bytes, 64); }
static inline void deallocate(void *memory) { _aligned_free(memory); }
#else
#include <pthread.h>
#include <stdlib.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

typedef pthread_t thread;
typedef pthread_mutex_t mutex;
typedef pthread_cond_t condition;
#define THREAD_BODY void *
#define THREAD_END NULL

enum { STACK = 2 << 20 }; /* bytes: some systems give threads next to nothing */

static inline int start_thread(thread *t, void *(*body)(void *), void *argument) {
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes)) return 0;
    pthread_attr_setstacksize(&attributes, STACK);
    int failed = pthread_create(t, &attributes, body, argument);
    return pthread_attr_destroy(&attributes), !failed;
}
static inline void join_thread(thread t) { pthread_join(t, NULL); }
static inline void begin_mutex(mutex *m) { pthread_mutex_init(m, NULL); }
static inline void end_mutex(mutex *m) { pthread_mutex_destroy(m); }
static inline void lock(mutex *m) { pthread_mutex_lock(m); }
static inline void unlock(mutex *m) { pthread_mutex_unlock(m); }
static inline void begin_condition(condition *c) { pthread_cond_init(c, NULL); }
static inline void end_condition(condition *c) { pthread_cond_destroy(c); }
static inline void wait_for(condition *c, mutex *m) { pthread_cond_wait(c, m); }
static inline void wake_all(condition *c) { pthread_cond_broadcast(c); }

/* Uninitialised, NULL where there is none. Much of it is asked for in large pages, whose first touch costs less. */
static inline void *allocate(size_t bytes) {
    size_t alignment = bytes < 4 << 20 ? 64 : 2 << 20;
    void *memory;
    if (posix_memalign(&memory, alignment, bytes)) return NULL;
#ifdef __linux__
    if (alignment > 64) madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    return memory;
}
static inline void deallocate(void *memory) { free(memory); }
#endif

/* Tells the processor that a loop only waits. */
static inline void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}
