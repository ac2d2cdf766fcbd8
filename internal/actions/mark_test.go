package actions

// MarkOf lets tests make a client that transmit.ensure_client would have made.
var MarkOf = markOf
