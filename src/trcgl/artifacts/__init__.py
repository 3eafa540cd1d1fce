"""Files that one stage passes to the next: class list, image shards, preparation, vocabulary, label vectors, places."""
