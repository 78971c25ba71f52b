#include <stdlib.h>
#include <strings.h>

#include "local/bq_state.h"

struct binder {
    struct mr_bq_binding *binding;
    struct mr_bigquery_descriptor descriptor;
    struct mr_bq *store;
    uint32_t known; /* columns of the root that may be named */
    int32_t storage;
    const char *text; /* what is wrong, NULL: nothing yet */
};

#define BIT(type) (1u << MR_PROTO_##type)

static const uint32_t INTS = BIT(INT32) | BIT(INT64) | BIT(UINT32) | BIT(UINT64);

/* Which proto types a column takes: plain, and within a wrapper. Source: "Supported protocol
 * buffer and Arrow data types". */
static uint32_t taken(int32_t type, bool wrapped)
{
    switch (type) {
    case MR_BIGQUERY_BOOL:
        return wrapped ? BIT(BOOL) : BIT(BOOL) | INTS;
    case MR_BIGQUERY_INT64:
        return wrapped ? BIT(INT32) | BIT(INT64) | BIT(UINT32)
                       : BIT(INT32) | BIT(INT64) | BIT(UINT32) | BIT(ENUM);
    case MR_BIGQUERY_DOUBLE:
        return BIT(DOUBLE) | BIT(FLOAT);
    case MR_BIGQUERY_STRING:
        return wrapped ? BIT(STRING) : BIT(STRING) | BIT(ENUM);
    case MR_BIGQUERY_BYTES:
        return wrapped ? BIT(BYTES) : BIT(BYTES) | BIT(STRING);
    case MR_BIGQUERY_TIMESTAMP:
        return wrapped ? 0 : BIT(INT64) | BIT(INT32) | BIT(UINT32);
    case MR_BIGQUERY_DATE:
        return wrapped ? 0 : BIT(INT32) | BIT(INT64) | BIT(STRING);
    case MR_BIGQUERY_DATETIME:
    case MR_BIGQUERY_TIME:
        return wrapped ? 0 : BIT(INT64) | BIT(STRING);
    case MR_BIGQUERY_NUMERIC:
    case MR_BIGQUERY_BIGNUMERIC:
        return wrapped ? BIT(BYTES) : BIT(BYTES) | BIT(STRING) | BIT(DOUBLE) | BIT(FLOAT) | INTS;
    case MR_BIGQUERY_JSON:
    case MR_BIGQUERY_GEOGRAPHY:
    case MR_BIGQUERY_INTERVAL:
        return wrapped ? 0 : BIT(STRING);
    default:
        return 0;
    }
}

/* Nested within the root under a name of the client's making, such as google_protobuf_Int64Value:
 * the last word tells. */
static const struct {
    const char *name;
    int32_t proto;
    enum mr_bq_wrap wrap;
} WRAPPERS[] = {
    {"DoubleValue", MR_PROTO_DOUBLE, MR_BQ_WRAPPED},
    {"FloatValue", MR_PROTO_FLOAT, MR_BQ_WRAPPED},
    {"Int64Value", MR_PROTO_INT64, MR_BQ_WRAPPED},
    {"UInt64Value", MR_PROTO_UINT64, MR_BQ_WRAPPED},
    {"Int32Value", MR_PROTO_INT32, MR_BQ_WRAPPED},
    {"UInt32Value", MR_PROTO_UINT32, MR_BQ_WRAPPED},
    {"BoolValue", MR_PROTO_BOOL, MR_BQ_WRAPPED},
    {"StringValue", MR_PROTO_STRING, MR_BQ_WRAPPED},
    {"BytesValue", MR_PROTO_BYTES, MR_BQ_WRAPPED},
    {"Timestamp", MR_PROTO_MESSAGE, MR_BQ_TIMESTAMP},
    {"Duration", MR_PROTO_MESSAGE, MR_BQ_DURATION},
};

static bool last_word(struct mr_span name, const char *word)
{
    size_t bytes = strlen(word);
    if (name.bytes < bytes || memcmp(name.data + name.bytes - bytes, word, bytes) != 0)
        return false;
    return name.bytes == bytes || name.data[name.bytes - bytes - 1] == '_';
}

static void refuse(struct binder *b, int32_t storage, const char *text)
{
    if (!b->text) {
        b->text = text;
        b->storage = storage;
    }
}

static struct mr_bq_layout *bind_message(struct binder *b, uint32_t message,
                                         const struct mr_bq_column *columns, uint32_t count,
                                         bool root, const char *path);

static void bind_range(struct binder *b, const struct mr_bigquery_field *field,
                       const struct mr_bq_column *column, struct mr_bq_slot *slot, const char *path)
{
    struct mr_bq_column *ends = mr_texts_take(&b->binding->texts, 2 * sizeof *ends);

    for (int i = 0; i < 2; i++)
        ends[i] = (struct mr_bq_column){
            .name = i ? "end" : "start", .type = column->range_type, .mode = MR_BIGQUERY_NULLABLE};
    slot->wrap = MR_BQ_RANGE;
    slot->layout = bind_message(b, field->message, ends, 2, false, path);
}

/* False: the column does not take the field. */
static bool bind_type(struct binder *b, const struct mr_bigquery_field *field,
                      const struct mr_bq_column *column, struct mr_bq_slot *slot, const char *path)
{
    slot->proto = field->type;
    if (field->type == MR_PROTO_ENUM)
        slot->enumeration = &b->descriptor.enums[field->enumeration];
    if (field->type != MR_PROTO_MESSAGE)
        return taken(column->type, false) >> field->type & 1;
    if (column->type == MR_BIGQUERY_STRUCT) {
        slot->layout = bind_message(b, field->message, column->columns, column->column_count, false,
                                    path);
        return true;
    }
    if (column->type == MR_BIGQUERY_RANGE) {
        bind_range(b, field, column, slot, path);
        return true;
    }
    for (size_t i = 0; i < MR_COUNT(WRAPPERS); i++) {
        if (!last_word(b->descriptor.messages[field->message].name, WRAPPERS[i].name))
            continue;
        slot->wrap = WRAPPERS[i].wrap;
        slot->proto = WRAPPERS[i].proto;
        if (slot->wrap == MR_BQ_TIMESTAMP)
            return column->type == MR_BIGQUERY_TIMESTAMP;
        if (slot->wrap == MR_BQ_DURATION)
            return column->type == MR_BIGQUERY_INTERVAL;
        return taken(column->type, true) >> slot->proto & 1;
    }
    return false;
}

static uint32_t column_find(const struct mr_bq_column *columns, uint32_t count, struct mr_span name)
{
    for (uint32_t i = 0; i < count; i++)
        if (strlen(columns[i].name) == name.bytes &&
            strncasecmp(columns[i].name, (const char *)name.data, name.bytes) == 0)
            return i;
    return count;
}

static bool bind_pseudo(struct binder *b, const struct mr_bigquery_field *field,
                        struct mr_span name, struct mr_bq_slot *slot)
{
    bool type = mr_span_equal(name, mr_span_text("_CHANGE_TYPE"));

    if (!type && !mr_span_equal(name, mr_span_text("_CHANGE_SEQUENCE_NUMBER")))
        return false;
    slot->column = type ? MR_BQ_CHANGE_TYPE : MR_BQ_CHANGE_SEQUENCE;
    slot->proto = field->type;
    b->binding->changes |= type;
    if (field->type != MR_PROTO_STRING || field->label == MR_PROTO_REPEATED)
        refuse(b, 0, "The change pseudo-columns must be single proto fields of type string.");
    return true;
}

static void bind_field(struct binder *b, const struct mr_bigquery_field *field,
                       struct mr_bq_layout *layout, uint32_t known, bool root, const char *parent,
                       struct mr_bq_slot *slot)
{
    struct mr_span name = mr_bigquery_field_column(field);
    struct mr_bq_heap *heap = &b->store->heap;
    const char *path = mr_bq_heap_print(heap, "%s.%s", parent, mr_bq_heap_copy(heap, name));

    *slot = (struct mr_bq_slot){.number = field->number,
                                .repeated = field->label == MR_PROTO_REPEATED};
    if (root && bind_pseudo(b, field, name, slot))
        return;
    slot->column = column_find(layout->columns, known, name);
    if (slot->column == known) {
        refuse(b, MR_BIGQUERY_SCHEMA_MISMATCH_EXTRA_FIELDS,
               mr_bq_heap_print(heap,
                                "Input schema has more fields than BigQuery schema, extra "
                                "fields: '%s'",
                                path));
        return;
    }
    const struct mr_bq_column *column = &layout->columns[slot->column];
    if (layout->by_column[slot->column])
        refuse(b, 0, mr_bq_heap_print(heap, "Two proto fields name the column %s.", path));
    layout->by_column[slot->column] = slot;
    if (slot->repeated != (column->mode == MR_BIGQUERY_REPEATED))
        refuse(b, 0,
               mr_bq_heap_print(heap,
                                "The proto field's label does not match the mode of "
                                "the BigQuery field at %s.",
                                path));
    else if (!bind_type(b, field, column, slot, path))
        refuse(b, 0,
               mr_bq_heap_print(heap,
                                "The proto field type does not match the BigQuery "
                                "field type at %s.",
                                path));
}

static int slot_compare(const void *a, const void *b)
{
    uint32_t left = ((const struct mr_bq_slot *)a)->number;
    uint32_t right = ((const struct mr_bq_slot *)b)->number;
    return (left > right) - (left < right);
}

static struct mr_bq_layout *bind_message(struct binder *b, uint32_t message,
                                         const struct mr_bq_column *columns, uint32_t count,
                                         bool root, const char *path)
{
    const struct mr_bigquery_message *m = &b->descriptor.messages[message];
    struct mr_texts *texts = &b->binding->texts;
    struct mr_bq_layout *layout = mr_texts_take(texts, sizeof *layout);

    layout->slots = mr_texts_take(texts, (m->field_count + 1) * sizeof *layout->slots);
    layout->by_column = mr_texts_take(texts, (count + 1) * sizeof *layout->by_column);
    layout->columns = columns;
    layout->column_count = count;
    layout->slot_count = m->field_count;
    for (uint32_t i = 0; i < m->field_count && !b->text; i++)
        bind_field(b, &b->descriptor.fields[m->field_first + i], layout, root ? b->known : count,
                   root, path, &layout->slots[i]);
    if (b->text)
        return layout;
    qsort(layout->slots, m->field_count, sizeof *layout->slots, slot_compare);
    for (uint32_t i = 0; i < m->field_count; i++) {
        if (i && layout->slots[i].number == layout->slots[i - 1].number)
            refuse(b, 0, "Two proto fields of one message have the same number.");
        if (layout->slots[i].column < count) /* not a pseudo-column */
            layout->by_column[layout->slots[i].column] = &layout->slots[i];
    }
    return layout;
}

/* Parses into arrays that grow until the descriptor fits. */
static int descriptor_read(struct binder *b, struct mr_span bytes)
{
    struct mr_bigquery_descriptor *d = &b->descriptor;
    int err = MR_E_WIRE_ROOM;

    for (uint32_t room = 32; err == MR_E_WIRE_ROOM && room <= MR_BQ_COLUMNS_MAX * 4; room *= 4) {
        d->message_max = d->field_max = d->enum_max = room;
        d->messages = mr_texts_take(&b->binding->texts, room * sizeof *d->messages);
        d->fields = mr_texts_take(&b->binding->texts, room * sizeof *d->fields);
        d->enums = mr_texts_take(&b->binding->texts, room * sizeof *d->enums);
        err = mr_bigquery_descriptor_parse(d, bytes);
    }
    return err;
}

struct mr_bq_binding *mr_bq_binding_create(struct mr_bq_table *table, struct mr_span descriptor,
                                           int64_t now_us, int32_t *storage, const char **text)
{
    struct mr_bq_binding *binding = calloc(1, sizeof *binding);
    MR_ASSERT(binding);
    struct binder b = {
        .binding = binding, .store = table->store, .known = mr_bq_table_known(table, now_us)};

    binding->descriptor_bytes = descriptor.bytes;
    binding->descriptor = (uint8_t *)mr_texts_copy(
        &binding->texts, descriptor.bytes ? (const char *)descriptor.data : "", descriptor.bytes);
    int err = descriptor_read(&b, mr_span_of(binding->descriptor, descriptor.bytes));
    if (err == MR_E_BIGQUERY_TYPE_NAME)
        refuse(&b, 0, "The writer schema names a type that it does not hold.");
    else if (err != MR_OK)
        refuse(&b, 0, "The writer schema is no DescriptorProto that can be taken.");
    else if (mr_bigquery_descriptor_recursive(&b.descriptor))
        refuse(&b, 0, "The writer schema is recursive or nested too deeply.");
    else
        binding->root = bind_message(&b, 0, table->columns, table->column_count, true, "root");
    if (!b.text)
        return binding;
    *storage = b.storage;
    *text = b.text;
    mr_bq_binding_destroy(binding);
    return NULL;
}

void mr_bq_binding_destroy(struct mr_bq_binding *binding)
{
    if (!binding)
        return;
    mr_texts_finish(&binding->texts);
    free(binding);
}
