#include "network.h"
#include <string.h>

#define SIZE_OF(name) {#name, sizeof(name)}

static const struct { const char *name; int64_t size; } structs[] = {
    SIZE_OF(layer), SIZE_OF(strided), SIZE_OF(tap_window),
    SIZE_OF(branches_sizes), SIZE_OF(branches_weights), SIZE_OF(branches_arguments), SIZE_OF(branches_backward_arguments),
    SIZE_OF(attention_sizes), SIZE_OF(fsa_arguments), SIZE_OF(fsa_backward_arguments),
    SIZE_OF(focal_weights), SIZE_OF(focal_arguments), SIZE_OF(focal_backward_arguments),
    SIZE_OF(exchange_sizes), SIZE_OF(exchange_weights), SIZE_OF(exchange_means_arguments), SIZE_OF(exchange_arguments),
    SIZE_OF(exchange_backward_arguments),
    SIZE_OF(feed_forward_sizes), SIZE_OF(feed_forward_weights), SIZE_OF(feed_forward_arguments),
    SIZE_OF(feed_forward_backward_arguments),
    SIZE_OF(residual_sizes), SIZE_OF(residual_arguments), SIZE_OF(residual_backward_arguments),
    SIZE_OF(network_config), SIZE_OF(network_run), SIZE_OF(network_layer), SIZE_OF(network_ends),
};

int64_t lamnet_size_of(const char *name) {
    for (size_t i = 0; i < sizeof structs / sizeof *structs; i++)
        if (!strcmp(structs[i].name, name)) return structs[i].size;
    return 0;
}
