#include "local/bq_state.h"

struct mr_rpc_status mr_bq_status(struct mr_bq *store, int32_t code, int32_t storage,
                                  const char *entity, const char *text)
{
    struct mr_bq_heap *heap = &store->heap;
    struct mr_rpc_status status = {
        .present = true, .code = code, .message = mr_span_text(mr_bq_heap_print(heap, "%s", text))};

    if (storage) {
        struct mr_bigquery_storage_error error = {
            .code = storage, .entity = mr_span_text(entity), .error_message = status.message};
        size_t room = strlen(entity) + status.message.bytes + 200;
        struct mr_pen value = mr_pen_of(mr_bq_heap_take(heap, room), room);
        mr_bigquery_storage_error_put(&value, &error);
        struct mr_pen any = mr_pen_of(mr_bq_heap_take(heap, 2 * room), 2 * room);
        mr_rpc_any_put_typed(&any, MR_BIGQUERY_STORAGE_ERROR, mr_pen_span(&value));
        struct mr_span *item = mr_bq_heap_take(heap, sizeof *item);
        *item = mr_pen_span(&any);
        status.details = (struct mr_pb_list){.items = item, .count = 1};
    }
    return status;
}

void mr_bq_answer_end(struct mr_bq *store, struct mr_bq_answer *answer, int32_t code,
                      int32_t storage, const char *entity, const char *text)
{
    struct mr_rpc_status status = mr_bq_status(store, code, storage, entity, text);
    struct mr_bq_answer encoded;

    MR_BQ_ANSWER(store, &encoded, mr_rpc_status, &status);
    *answer = (struct mr_bq_answer){
        .code = code, .text = (const char *)status.message.data, .status = encoded.message};
}
