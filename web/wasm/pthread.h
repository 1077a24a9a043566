/* What csrc/system.h takes from here, where there are no threads to start: helpers of a page come through lamnet_set_pool. */
#pragma once

typedef int pthread_t, pthread_attr_t, pthread_mutex_t, pthread_cond_t;

static inline int pthread_attr_init(pthread_attr_t *attributes) { return *attributes = 0; }
static inline int pthread_attr_setstacksize(pthread_attr_t *attributes, unsigned long bytes) { return (void)attributes, (void)bytes, 0; }
static inline int pthread_attr_destroy(pthread_attr_t *attributes) { return (void)attributes, 0; }
static inline int pthread_create(pthread_t *t, const pthread_attr_t *attributes, void *(*body)(void *), void *argument) {
    return (void)t, (void)attributes, (void)body, (void)argument, 1; /* refused */
}
static inline int pthread_join(pthread_t t, void **result) { return (void)t, (void)result, 0; }
static inline int pthread_mutex_init(pthread_mutex_t *m, const void *attributes) { return (void)m, (void)attributes, 0; }
static inline int pthread_mutex_destroy(pthread_mutex_t *m) { return (void)m, 0; }
static inline int pthread_mutex_lock(pthread_mutex_t *m) { return (void)m, 0; }
static inline int pthread_mutex_unlock(pthread_mutex_t *m) { return (void)m, 0; }
static inline int pthread_cond_init(pthread_cond_t *c, const void *attributes) { return (void)c, (void)attributes, 0; }
static inline int pthread_cond_destroy(pthread_cond_t *c) { return (void)c, 0; }
static inline int pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m) { return (void)c, (void)m, 0; }
static inline int pthread_cond_broadcast(pthread_cond_t *c) { return (void)c, 0; }
