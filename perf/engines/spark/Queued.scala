package org.apache.spark.streaming.perf

import java.nio.file.{Files, Paths}

import scala.collection.mutable
import scala.reflect.ClassTag

import org.apache.spark.SparkConf
import org.apache.spark.rdd.RDD
import org.apache.spark.storage.StorageLevel
import org.apache.spark.streaming.{Milliseconds, StreamingContext}
import org.apache.spark.streaming.dstream.DStream
import org.apache.spark.streaming.scheduler.{
  StreamingListener,
  StreamingListenerBatchCompleted,
  StreamingListenerOutputOperationCompleted
}
import org.apache.spark.util.ManualClock

/** A context that its program drives batch by batch. */
final class Driver(workers: Int, checkpoint: Boolean) {
  val interval = Milliseconds(1000)
  val ssc: StreamingContext = Settings.context(workers, interval, manual = true)
  // The graph itself need not be written, only the state.
  if (checkpoint) ssc.sparkContext.setCheckpointDir(Settings.folder)

  private val completed = new java.util.concurrent.Semaphore(0)
  @volatile private var failure: Option[String] = None
  ssc.addStreamingListener(new StreamingListener {
    override def onOutputOperationCompleted(
        output: StreamingListenerOutputOperationCompleted): Unit =
      output.outputOperationInfo.failureReason.foreach(reason => failure = Some(reason))
    override def onBatchCompleted(batch: StreamingListenerBatchCompleted): Unit =
      completed.release()
  })

  /** Has the next batch made, and waits until it was processed. */
  def batch(): Unit = {
    ssc.scheduler.clock.asInstanceOf[ManualClock].advance(interval.milliseconds)
    completed.acquire()
    failure.foreach(reason => throw new IllegalStateException(reason))
  }
}

object Settings {
  /** For what Spark writes; removed at the end. */
  lazy val folder: String =
    Files.createTempDirectory(Paths.get("").toAbsolutePath, "spark-").toString

  def context(workers: Int, interval: org.apache.spark.streaming.Duration, manual: Boolean)
      : StreamingContext = {
    val conf = new SparkConf()
      .setMaster(s"local[$workers]")
      .setAppName("perf")
      .set("spark.default.parallelism", workers.toString)
      .set("spark.ui.enabled", "false")
      .set("spark.local.dir", folder)
      .set("spark.cleaner.referenceTracking.blocking", "false")
      .set("spark.streaming.backpressure.enabled", "true")
    if (manual) conf.set("spark.streaming.clock", "org.apache.spark.util.ManualClock")
    val ssc = new StreamingContext(conf, interval)
    ssc.sparkContext.setLogLevel("ERROR")
    ssc
  }
}

/** A program over a queue of batches, which come again and again. */
final class Queued[T: ClassTag](
    order: Words,
    checkpoint: Boolean,
    load: StreamingContext => IndexedSeq[RDD[T]],
    declare: (DStream[T], Result) => Unit)
    extends Engine {
  private val driver = new Driver(order.int("workers"), checkpoint)
  private val queue = mutable.Queue.empty[RDD[T]]
  private val batches = load(driver.ssc).map { batch =>
    // Neither is it part of a batch to bring the input to where it is.
    batch.persist(StorageLevel.MEMORY_ONLY).count()
    batch
  }
  private val result = new Result
  private var next = 0
  declare(driver.ssc.queueStream(queue, oneAtATime = true), result)
  driver.ssc.start()

  def step(batch: RDD[T]): Unit = {
    queue.synchronized(queue += batch)
    driver.batch()
  }

  def context: StreamingContext = driver.ssc

  override def run(order: Words): Done = {
    val steps = order.int("steps")
    val since = System.nanoTime()
    (1 to steps).foreach { n =>
      result.wanted = n == steps
      step(batches(next))
      next = (next + 1) % batches.length
    }
    val nanos = System.nanoTime() - since
    Done(nanos - result.reading, result.digest)
  }
}

/** What came out last. */
final class Result {
  /** Whether the digest of the next result is asked for. */
  @volatile var wanted = false
  @volatile var digest: Digest = Digest.zero
  /** The time that reading it took, which is not the program's. */
  @volatile var reading = 0L

  /** Has a result computed, and read if that is wanted. */
  def table(rdd: RDD[(Long, Long)]): Unit = {
    rdd.count()
    read(rdd)
  }

  /** Takes the digest of a result that is there, if that is wanted. */
  def read(rdd: RDD[(Long, Long)]): Unit = {
    if (wanted) {
      val since = System.nanoTime()
      digest = rdd.aggregate(Digest.zero)({ case (all, (key, sum)) => all.key(key, sum) }, _ + _)
      reading = System.nanoTime() - since
    }
  }
}
