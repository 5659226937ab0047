# Flattens JSON: one line for each value that is not a container, "path<TAB>value", where a path is
# like modes.0.route. Strings keep their escapes.

{ text = text $0 "\n" }

END {
    position = 1
    value("")
}

function value(path,    index_, key, first) {
    first = next_char()
    if (first == "{") {
        position++
        while (next_char() == "\"") {
            key = string()
            if (next_char() != ":") exit 1
            position++
            value(path == "" ? key : path "." key)
            if (next_char() == ",") position++
        }
        close_with("}")
    } else if (first == "[") {
        position++
        index_ = 0
        while (next_char() != "]") {
            value(path "." index_++)
            if (next_char() == ",") position++
        }
        close_with("]")
    } else if (first == "\"") {
        print path "\t" string()
    } else if (match(substr(text, position), /^[-+.0-9A-Za-z]+/)) {
        print path "\t" substr(text, position, RLENGTH)
        position += RLENGTH
    } else {
        exit 1
    }
}

function next_char() {
    while (substr(text, position, 1) ~ /[ \t\r\n]/) position++
    return substr(text, position, 1)
}

function string(    start) {
    start = ++position
    while (position <= length(text) && substr(text, position, 1) != "\"")
        position += substr(text, position, 1) == "\\" ? 2 : 1
    return substr(text, start, position++ - start)
}

function close_with(char) {
    if (next_char() != char) exit 1
    position++
}
