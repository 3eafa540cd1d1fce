"""What one stage hands to the next: class list, image shards, how pictures are made, vocabulary, label vectors."""
