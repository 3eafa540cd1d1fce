"""Kinds of bad input that no stage of a small project meets: what is seen, and the test that holds it."""

OTHERS = (
    (
        "Disk",
        "full, a quota used up, or a file too large, in every format we write",
        "...: no space is left to write it; free some and run again: nothing half written stays, and what was finished before is kept",
        "test_runtime.py::test_no_space_is_one_line_and_leaves_nothing_half_written",
    ),
    (
        "Disk",
        "too small for the images that are to be cached or drawn",
        "...: 12 images need 25 kB but 20 kB are free; make room and run again: nothing was begun, and what was finished before is kept",
        "test_input_errors.py::test_a_disk_that_is_too_small_stops_the_cache_before_it_begins",
    ),
    (
        "Disk",
        "a checkpoint damaged or cut short",
        "... is damaged or cut short; the state before it is used",
        "test_runtime.py::test_a_damaged_state_is_told_and_the_one_before_it_used",
    ),
    (
        "Disk",
        "a checkpoint of other parameters, inputs or code",
        "nothing: it is not found, and the stage starts anew",
        "test_runtime.py::test_state_is_found_again_only_for_the_same_everything",
    ),
    (
        "Disk",
        "a kept shard damaged",
        "... or its shards are damaged; images from here on are decoded again",
        "test_images.py::test_a_killed_cache_goes_on_after_its_last_whole_shard",
    ),
    (
        "Disk",
        "a kept micro-batch damaged",
        "... is damaged or cut short and counts as not drawn",
        "test_diffusion_sampling.py::test_kept_micro_batches_are_not_drawn_again",
    ),
    (
        "Made files",
        "the co-occurrence counts overwritten, or of other findings",
        "...: damaged or cut short (not a whole .npz archive); ...",
        "test_graph_cooccurrence.py::test_unreadable_file_is_one_line",
    ),
    (
        "Made files",
        "the generator's card, adapter, tokens or a part of its base cut short",
        "...: damaged or cut short (...); ...",
        "test_diffusion.py::test_a_damaged_file_of_a_generator_is_named",
    ),
    (
        "Memory",
        "too little, on processor or accelerator",
        "out of memory; lower 'classifier.batch_size', or raise 'classifier.accumulate' (...)",
        "test_runtime.py::test_out_of_memory_names_the_knob",
    ),
    (
        "Memory",
        "a process that decodes was killed",
        "one of ... processes that work on pixels was killed, most likely for want of memory; lower 'compute.workers' and run again",
        "test_images.py::test_a_killed_worker_is_one_line",
    ),
    (
        "Compiler",
        "torch.compile asked for where it cannot compile",
        "compute.compile: torch cannot compile here; set it to false (...)",
        "test_classifier_train.py::test_a_failing_compiler_is_one_line",
    ),
    (
        "Signals",
        "SIGTERM, or Ctrl-C",
        "stopped by SIGTERM; what is done is kept, run again to go on from there (exit code 143 or 130)",
        "test_runtime.py::test_a_signal_is_one_line_and_a_code",
    ),
    (
        "Training",
        "a loss that is no number",
        "epoch 1, step 1: the loss is nan; lower lr or use fp32; images of the batch: ...",
        "test_classifier_train.py::test_a_loss_that_is_no_number_stops_with_the_images",
    ),
    (
        "Training",
        "a gradient that is no number",
        "epoch 1, step 1: the gradient's norm is nan; lower lr or use fp32; images of the batch: ...",
        "test_classifier_train.py::test_a_gradient_that_is_no_number_stops_with_the_images",
    ),
    (
        "Training",
        "a generated image in the label table",
        "...: '...' is a generated image; a label table lists real ones only",
        "test_classifier_data.py::test_a_generated_image_among_the_labelled_ones_stops",
    ),
    (
        "Generator",
        "no base, or no pipeline in its folder",
        "diffusion.base: no folder '...'; give a diffusers folder, a hub id owner/name, or null to leave stage one out",
        "test_diffusion.py::test_missing_folder_and_wrong_folders",
    ),
    (
        "Generator",
        "pickled weights of the base",
        "diffusion.base: the folder '...' cannot be loaded; give a complete diffusers folder in safetensors (...)",
        "test_diffusion.py::test_weights_outside_safetensors_are_refused",
    ),
    (
        "Generator",
        "a loss or gradient that is no number",
        "diffusion: step 0 of phase '...' went wrong: ...; images of the step: ...",
        "test_diffusion.py::test_a_gradient_that_is_not_finite_stops_and_names_the_step",
    ),
)
