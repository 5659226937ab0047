/* What is bound. liburing.h brings its own liburing/ headers along, query.h and bpf_filter.h of newer releases too. */

/* io_uring_register_iowq_aff, cpu_set_t and struct statx are hidden without it, and liburing < 2.2 does not set it. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <liburing.h>
